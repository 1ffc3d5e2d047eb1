/*
Write every lead into a table that holds none yet: the first load.

The same rows as core/leads_refresh gives, from one pass over messages and milestones each.

owner: engineering
grain: one row per conversation that an ad began and its customer has written in
*/
with said as (
    select
        messages.conversation_id,
        min(messages.sent_at) as first_at,
        max(messages.sent_at) as said_at
    from facts.messages
    where messages.is_customer_message
    group by messages.conversation_id
),

talks as materialized (
    select
        conversations.conversation_id,
        conversations.customer_id,
        conversations.ad_id,
        conversations.opened_at,
        said.first_at,
        said.said_at
    from core.conversations
    inner join said on conversations.conversation_id = said.conversation_id
    where conversations.ad_id is not null
),

answered as (
    select
        talks.conversation_id,
        min(messages.sent_at) as at
    from talks
    inner join core.messages
        on talks.conversation_id = messages.conversation_id and messages.sent_at >= talks.first_at
    where messages.direction = 'outbound' and messages.sender in ('bot', 'agent')
    group by talks.conversation_id
),

deep as (
    select
        conversation_id,
        min(milestone_at) as at
    from core.milestones
    where milestone = 'deep_conversation'
    group by conversation_id
),

qualified as (
    select
        talks.conversation_id,
        min(milestones.milestone_at) as at
    from core.milestones
    inner join core.conversations as theirs on milestones.conversation_id = theirs.conversation_id
    inner join talks on theirs.customer_id = talks.customer_id
    where
        milestones.milestone = 'qualified'
        and (theirs.conversation_id = talks.conversation_id or milestones.milestone_at >= talks.opened_at)
    group by talks.conversation_id
)

insert into core.leads (
    conversation_id, customer_id, ad_id, opened_at, said_at, free_opens_at, free_ends_at, deep_at, qualified_at
)
select
    talks.conversation_id,
    talks.customer_id,
    talks.ad_id,
    talks.opened_at,
    talks.said_at,
    case when answered.at <= talks.first_at + interval '24 hours' then answered.at end as free_opens_at,
    case
        when answered.at <= talks.first_at + interval '24 hours' then answered.at + interval '72 hours'
    end as free_ends_at,
    deep.at as deep_at,
    qualified.at as qualified_at
from talks
left join answered on talks.conversation_id = answered.conversation_id
left join deep on talks.conversation_id = deep.conversation_id
left join qualified on talks.conversation_id = qualified.conversation_id
order by talks.conversation_id
