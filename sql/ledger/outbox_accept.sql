/*
What the outbox does when it accepts: append, whatever was there before.

owner: engineering
grain: one row per message
params:
  messages: jsonb - attempt_id, send_key, channel, address, content, and at (the decision clock stated) of each
returns:
  attempt_id: text - echo
  message_id: bigint unique - the provider's own number
*/
insert into outbox.messages (at, attempt_id, send_key, channel, address, content)
select message.at, message.attempt_id, message.send_key, message.channel, message.address, message.content
from jsonb_to_recordset(cast(:messages as jsonb)) as message (
    attempt_id text, send_key text, channel text, address text, at timestamptz, content jsonb
)
returning attempt_id, message_id
