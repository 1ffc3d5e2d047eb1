/*
Keep messages of conversations that mean something to us as the replies they are. One that is known adds whom it
is from, where nobody was known then, and nothing else.

owner: engineering
grain: one row per reply that was not known, or whose person was not
params:
  replies: jsonb - reply_id, channel, customer_id, text and sent_at of each
returns:
  reply_id: text unique - our name of the reply
*/
insert into campaign.replies as known (reply_id, provider, channel, customer_id, text, occurred_at)
select reply.reply_id, 'conversations', reply.channel, person.customer_id, reply.text, reply.sent_at
from jsonb_to_recordset(cast(:replies as jsonb)) as reply (
    reply_id text, channel text, customer_id text, text text, sent_at timestamptz
)
cross join lateral campaign.person(reply.customer_id) as person
on conflict (reply_id) do update
set customer_id = excluded.customer_id, text = coalesce(known.text, excluded.text)
where known.customer_id is null and known.resolved_at is null
returning reply_id
