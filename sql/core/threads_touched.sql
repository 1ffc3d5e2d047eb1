/*
Conversations to which messages find their way, or from which they are taken, before that is written.

owner: engineering
grain: one row per conversation, into the temporary tables touched_conversations and changed_conversations
*/
with moved as (
    select conversation_id
    from threaded
    where conversation_id is not null
    union
    select messages.conversation_id
    from threaded
    inner join core.messages on threaded.message_id = messages.message_id
    where messages.conversation_id is not null
),

touched as (
    insert into touched_conversations (conversation_id, since)
    select
        conversation_id,
        '-infinity'
    from moved
    on conflict (conversation_id) do update
    set since = excluded.since
)

insert into changed_conversations (conversation_id, customer_id)
select
    moved.conversation_id,
    conversations.customer_id
from moved
left join core.conversations on moved.conversation_id = conversations.conversation_id
on conflict do nothing
