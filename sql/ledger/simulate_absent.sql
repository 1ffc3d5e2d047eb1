/*
Which fact keeps one person out of a segment over conversations that ads began, where the facts alone say it.

The order is that of sql/segments/partial_leads.sql; null where none of these is certain.

owner: engineering
grain: one row
params:
  customer_id: text - who, by the id they have today
  ads: text[] - the campaign's ads; none: any ad
  at: timestamptz - the moment asked about
  min_silence: interval nullable - how long without a message of theirs; null: the segment does not say
returns:
  reason: text nullable - what is missing, or in the way
*/
with talks as (
    select conversations.conversation_id, conversations.ad_id, conversations.opened_at
    from core.conversations
    where
        conversations.customer_id = cast(:customer_id as text)
        and conversations.opened_at <= cast(:at as timestamptz)
),

from_ads as (
    select talks.conversation_id, talks.ad_id, talks.opened_at
    from talks
    where talks.ad_id is not null
),

named as (
    select
        exists (
            select from talks as theirs
            inner join core.milestones on milestones.conversation_id = theirs.conversation_id
            where
                milestones.milestone = 'qualified'
                and milestones.milestone_at <= cast(:at as timestamptz)
                and (
                    milestones.milestone_at >= from_ads.opened_at
                    or theirs.conversation_id = from_ads.conversation_id
                )
        ) as is_qualified,
        exists (
            select from facts.messages
            where
                messages.conversation_id = from_ads.conversation_id
                and messages.is_customer_message
                and messages.sent_at <= cast(:at as timestamptz)
                and messages.sent_at
                > cast(:at as timestamptz) - greatest(cast(:min_silence as interval), interval '5 minutes')
        ) as wrote_lately
    from from_ads
    where cardinality(cast(:ads as text[])) = 0 or from_ads.ad_id = any(cast(:ads as text[]))
)

select
    case
        when not exists (select from from_ads) then 'not_from_an_ad'
        when not exists (select from named) then 'other_ad'
        when (select bool_and(named.is_qualified) from named) then 'has_qualified'
        when
            cast(:min_silence as interval) is not null
            and (select bool_and(named.wrote_lately) from named where not named.is_qualified) then 'wrote_lately'
    end as reason
