/*
Keep the messages of a body that came live until the next load brings them in.

owner: engineering
grain: one row per message
params:
  messages: jsonb - raw and fields of each
*/
insert into raw.received_messages (writer_id, wa_id, raw, fields)
select
    message.fields ->> 'writer_id' as writer_id,
    message.fields ->> 'wa_id' as wa_id,
    message.raw,
    message.fields
from jsonb_to_recordset(cast(:messages as jsonb)) as message (raw text, fields jsonb)
