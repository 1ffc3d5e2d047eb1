/*
Conversations whose messages a load changes: those of its lines, and those from which a newer version takes a message,
with the first moment that changes and whether the customer said any of it.

owner: engineering
grain: one row per conversation, into the temporary table touched_conversations
params:
  known: boolean - some of the messages are stored already (core/gate_compare)
*/
insert into touched_conversations (conversation_id, since, is_said)
select
    conversation_id,
    min(sent_at),
    bool_or(sender = 'customer')
from (
    select
        conversation_id,
        sent_at,
        sender
    from checked
    where verdict = 'accepted' and head
    union all
    select
        messages.conversation_id,
        messages.sent_at,
        messages.sender
    from checked
    inner join core.messages on checked.message_id = messages.message_id
    where cast(:known as boolean) and checked.verdict = 'accepted' and checked.head
) as changed
where conversation_id is not null
group by conversation_id
