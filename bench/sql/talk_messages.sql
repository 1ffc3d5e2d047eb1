/*
Messages of every conversation, customer and bot in turn: a burst, and for some a second one within three days.

owner: engineering
grain: one row per message
params:
  messages: int - how many in each conversation
  until: timestamptz - the end of the history
*/
insert into core.messages (message_id, conversation_id, direction, sender, sent_at, text, kind, load_id)
select
    conversation_id || '-' || number,
    conversation_id,
    case number % 2 when 1 then 'inbound' else 'outbound' end,
    case number % 2 when 1 then 'customer' else 'bot' end,
    sent_at,
    'some words of a usual length, as people write them',
    'text',
    0
from (
    select
        conversations.conversation_id,
        message.number,
        conversations.opened_at + message.number * interval '1 minute'
        + case when message.number > 6 then pause else interval '0' end as sent_at
    from (select conversation_id, opened_at, random() * interval '3 days' as pause from core.conversations)
        as conversations
    cross join generate_series(0, cast(:messages as integer) - 1) as message (number)
) as said
where sent_at < cast(:until as timestamptz)
order by sent_at
