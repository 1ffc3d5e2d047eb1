/*
Every message the outbox holds, as whoever keeps the addresses sees it: what the sample shop reacts to.

owner: engineering
grain: one row per message
returns:
  channel: text - the channel
  address: text - where it went; personal data, for the shop's own simulation only
  at: timestamptz - when it was handed over
*/
select
    channel,
    address,
    coalesce(at, received_at) as at
from outbox.messages
order by message_id
