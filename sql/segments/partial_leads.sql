/*
People from an ad who talked to the bot, stalled before they qualified, and have been silent since.

A conversation that an ad began counts while its milestone is Lead or Deep conversation and the person has qualified in
no conversation since it was opened. Silence is counted from the customer's last message; what bots and agents write
does not end it. Whoever has several such conversations is in with the one they wrote in last: every click on an ad is
a conversation of its own, and so an occasion of its own.

owner: growth
grain: one row per customer
params:
  as_of: timestamptz - the moment the question is asked; messages and milestones after it have not happened yet
  ads: text[] = null - the campaign's ads; none: every ad that has had a bot by as_of
  min_silence: interval = '30 minutes' - how long without a message of theirs, at least 5 minutes (less counts as 5)
  fell_silent_after: timestamptz = null - only who had been silent so long after this moment
returns:
  customer_id: text unique - who
  anchor_at: timestamptz - their last message
  episode: text - the conversation: a new click on an ad begins a new occasion
  conversation_id: text - the conversation
  milestone: text - how far they came: lead or deep_conversation
  ad_id: text - the ad that began it
  free_window_ends_at: timestamptz nullable - until when writing to them is free; null when no free window opened
*/
with asked as not materialized (
    select
        cast(:as_of as timestamptz) as moment,
        greatest(cast(:min_silence as interval), interval '5 minutes') as least_silence,
        cast(:fell_silent_after as timestamptz) as silent_before,
        cast(:ads as text[]) as ads
),

ads_with_bot as (
    -- one that has lost its bot since holds what is due until it has one again, and ends nothing
    select ads.ad_id
    from facts.ads
    cross join asked
    where ads.bot_id is not null and ads.updated_at <= asked.moment
),

silent as (
    -- the silence each lead was in: its customer's last message at the moment asked about
    select
        leads.*,
        leads.said_at as silent_since,
        asked.moment
    from facts.leads
    cross join asked
    where
        leads.said_at <= asked.moment - asked.least_silence
        and leads.said_at > coalesce(asked.silent_before - asked.least_silence, '-infinity')
    union all
    -- whoever has written after that moment had been silent since the message before it
    select
        leads.*,
        former.said_at as silent_since,
        asked.moment
    from asked
    inner join facts.leads on leads.said_at > asked.moment
    cross join lateral (
        select max(messages.sent_at) as said_at
        from facts.messages
        where
            messages.conversation_id = leads.conversation_id
            and messages.is_customer_message
            and messages.sent_at <= asked.moment
    ) as former
    where
        former.said_at <= asked.moment - asked.least_silence
        and former.said_at > coalesce(asked.silent_before - asked.least_silence, '-infinity')
)

select distinct on (silent.customer_id)
    silent.customer_id,
    silent.silent_since as anchor_at,
    silent.conversation_id as episode,
    silent.conversation_id,
    case when silent.deep_at <= silent.moment then 'deep_conversation' else 'lead' end as milestone,
    silent.ad_id,
    case when silent.free_window_opens_at <= silent.moment then silent.free_window_ends_at end as free_window_ends_at
from silent
cross join asked
where
    silent.opened_at <= silent.moment
    and coalesce(silent.qualified_at > silent.moment, true)
    and case
        when cardinality(asked.ads) > 0 then silent.ad_id = any(asked.ads)
        else silent.ad_id in (select ads_with_bot.ad_id from ads_with_bot)
    end
order by silent.customer_id, silent.silent_since desc, silent.conversation_id
