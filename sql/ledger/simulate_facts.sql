/*
What happened in one person's conversations, and to the ads they came from, between two moments.

owner: engineering
grain: one row per fact
params:
  customer_id: text - who
  since: timestamptz - the first moment
  until: timestamptz - the last moment
returns:
  at: timestamptz - when
  what: text - what happened
  detail: text - where
*/
with
person as (
    select ids from campaign.person(cast(:customer_id as text))
),

talks as (
    select conversations.conversation_id, conversations.ad_id, conversations.opened_at
    from core.conversations
    where conversations.customer_id = any(array(select unnest(person.ids) from person))
),

facts as (
    select messages.sent_at as at, messages.sender || ' wrote' as what, messages.conversation_id as detail
    from talks
    inner join core.messages on messages.conversation_id = talks.conversation_id
    where messages.sender <> 'campaign'
    union all
    select milestones.milestone_at, 'milestone ' || milestones.milestone, milestones.conversation_id
    from talks
    inner join core.milestones on milestones.conversation_id = talks.conversation_id
    union all
    select leads.free_opens_at, 'free window opens', leads.conversation_id
    from talks
    inner join core.leads on leads.conversation_id = talks.conversation_id
    union all
    select leads.free_ends_at, 'free window ends', leads.conversation_id
    from talks
    inner join core.leads on leads.conversation_id = talks.conversation_id
    union all
    select
        ads.updated_at, 'ad ' || ads.status || case when ads.bot_id is null then ', without a bot' else '' end,
        ads.ad_id
    from core.ads
    where ads.ad_id in (select talks.ad_id from talks)
    union all
    select purchases.purchased_at, 'purchase ' || purchases.status, purchases.order_id
    from core.purchases
    where purchases.customer_id = any(array(select unnest(person.ids) from person))
)

select at, what, detail
from facts
where at between cast(:since as timestamptz) and cast(:until as timestamptz)
order by at, what, detail
