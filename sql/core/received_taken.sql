/*
Take the messages that the receiver has taken in, in the order they came.

owner: engineering
grain: one row per message
returns:
  raw: text - the message as it came
  fields: jsonb - its columns, as text
*/
with taken as (
    delete from raw.received_messages
    returning received_id, raw, fields
)

select
    raw,
    fields
from taken
order by received_id
