/*
When a conversation became a lead, when it became deep, and when its person qualified.

Asked for conversations whose source does not say so itself, whenever something about them has changed; edit it freely,
then all of them are asked again. Each milestone is the moment of the event that reached it, so that a message that
comes late is right at any past moment. A message is a customer's when it was written to us in person: edits,
revocations and what WhatsApp itself says are none.

owner: retention
grain: one row per conversation and milestone
params:
  conversations: text[] - the conversations that are asked about
  deep_messages: int = 3 - the customer's message with this number makes a conversation deep
  qualifying_keyword: text = 'qualified' - a message with a word of this group of config/sources.yaml qualifies
  qualifying_kind: text = 'order' - a message of this kind qualifies
  qualifying_node: text = 'qualified' - answering this step of the bot qualifies
  qualifying_event: text = 'bot_completed' - this event of the customer qualifies
  purchase_days: int = 7 - a purchase this many days after the opening, before the next conversation, qualifies
returns:
  conversation_id: text - the conversation
  milestone: text - lead, deep_conversation or qualified
  milestone_at: timestamptz - when it was reached
*/
with asked as (
    select conversation_id, customer_id, opened_at
    from facts.conversations
    where conversation_id = any(:conversations)
),

-- A conversation ends for events and purchases where the person's next one begins.
episodes as (
    select
        asked.conversation_id,
        asked.customer_id,
        asked.opened_at,
        (
            select min(later.opened_at)
            from facts.conversations as later
            where later.customer_id = asked.customer_id and later.opened_at > asked.opened_at
        ) as next_opened_at
    from asked
),

said as (
    select
        messages.conversation_id,
        messages.sent_at,
        messages.kind,
        messages.keywords,
        messages.bot_node,
        row_number() over (
            partition by messages.conversation_id
            order by messages.sent_at, messages.message_id
        ) as number
    from asked
    inner join facts.messages on messages.conversation_id = asked.conversation_id
    where messages.is_customer_message
),

reached as (
    select conversation_id, 'lead' as milestone, opened_at as milestone_at
    from asked
    union all
    select conversation_id, 'deep_conversation', sent_at
    from said
    where number = :deep_messages
    union all
    select conversation_id, 'qualified', sent_at
    from said
    where
        keywords @> array[:qualifying_keyword]
        or kind = :qualifying_kind
        or bot_node = :qualifying_node
    union all
    select episodes.conversation_id, 'qualified', events.occurred_at
    from episodes
    inner join facts.events
        on
            events.customer_id = episodes.customer_id
            and events.name = :qualifying_event
            and events.occurred_at >= episodes.opened_at
            and (episodes.next_opened_at is null or events.occurred_at < episodes.next_opened_at)
    union all
    select episodes.conversation_id, 'qualified', purchases.purchased_at
    from episodes
    inner join facts.purchases
        on
            purchases.customer_id = episodes.customer_id
            and purchases.status = 'paid'
            and purchases.purchased_at >= episodes.opened_at
            and purchases.purchased_at < episodes.opened_at + make_interval(days => :purchase_days)
            and (episodes.next_opened_at is null or purchases.purchased_at < episodes.next_opened_at)
)

select conversation_id, milestone, min(milestone_at) as milestone_at
from reached
group by conversation_id, milestone
