/*
Keep the moments of conversations that some figure counts, under the random name and new numbers: opening, milestones
and the first message after each retarget, of those that were enrolled or that a retargeting campaign's ad began.

owner: engineering
grain: one row per conversation
params:
  ids: text[] - every id of the person
  pseudonym: text - the random name
  ads: text[] - ads that retargeting campaigns name
  is_any_ad: boolean - whether one of them has the leads of every ad
*/
insert into campaign.erased_conversations (
    conversation_id, ad_id, opened_at, deep_at, qualified_at, said_at, enrolments, language, country
)
select
    cast(:pseudonym as text) || ':' || lpad(
        cast(
            row_number() over (order by conversations.opened_at, conversations.conversation_id)
            + (
                select count(*) from campaign.erased_conversations
                where starts_with(conversation_id, cast(:pseudonym as text) || ':')
            ) as text
        ),
        8, '0'
    ),
    conversations.ad_id,
    conversations.opened_at,
    conversations.deep_at,
    conversations.qualified_at,
    array(
        select distinct first_response.said_at
        from campaign.sends
        cross join lateral (
            select min(messages.sent_at) as said_at
            from facts.messages
            where messages.conversation_id = conversations.conversation_id
                and messages.is_customer_message
                and messages.sent_at > coalesce(sends.accepted_at, sends.claimed_at)
        ) as first_response
        where sends.enrolment_id = any(enrolled.enrolments) and first_response.said_at is not null
        order by first_response.said_at
    ),
    enrolled.enrolments,
    customers.language,
    customers.country
from core.conversations as named
inner join campaign.measured_conversations as conversations using (conversation_id)
left join core.customers on customers.customer_id = named.customer_id
cross join lateral (
    select array(
        select enrolments.enrolment_id
        from campaign.enrolments
        where
            enrolments.episode = named.conversation_id
            and enrolments.customer_id = any(cast(:ids as text[]))
        order by enrolments.enrolment_id
    ) as enrolments
) as enrolled
where
    named.customer_id = any(cast(:ids as text[]))
    and (
        cardinality(enrolled.enrolments) > 0
        or named.ad_id = any(cast(:ads as text[]))
        or (named.ad_id is not null and cast(:is_any_ad as boolean))
    )
