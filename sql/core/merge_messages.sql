/*
Store the messages of a load: every line here is new or wins over what is stored (core/gate_compare).

owner: engineering
grain: one row per message
params:
  load_id: bigint - the load
*/
insert into core.messages (
    message_id,
    conversation_id,
    direction,
    sender,
    sent_at,
    text,
    kind,
    load_id
)
select
    message_id,
    conversation_id,
    direction,
    sender,
    sent_at,
    text,
    kind,
    cast(:load_id as bigint)
from checked
where verdict = 'accepted' and head
order by message_id
on conflict (message_id) do update
set
    conversation_id = excluded.conversation_id,
    direction = excluded.direction,
    sender = excluded.sender,
    sent_at = excluded.sent_at,
    text = excluded.text,
    kind = excluded.kind,
    load_id = excluded.load_id
