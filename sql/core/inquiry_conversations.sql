/*
A WhatsApp conversation is an inquiry: it allows retargeting there for some days (A21).

owner: engineering
grain: one row per conversation
params:
  days: int - how long an inquiry allows it
  load_id: bigint - the load
*/
insert into core.consents (
    consent_id, customer_id, channel, purpose, status, basis, source, occurred_at, expires_at, load_id
)
select
    'inquiry:conversation:' || conversations.conversation_id,
    conversations.customer_id,
    'whatsapp',
    'retargeting',
    'granted',
    'inquiry',
    'conversation',
    conversations.opened_at,
    conversations.opened_at + interval '1 day' * cast(:days as integer),
    cast(:load_id as bigint)
from checked
inner join core.conversations using (conversation_id)
where checked.verdict = 'accepted' and lower(conversations.channel) = 'whatsapp'
order by 1
on conflict (consent_id) do update
set
    customer_id = excluded.customer_id,
    occurred_at = excluded.occurred_at,
    expires_at = excluded.expires_at,
    load_id = excluded.load_id
where
    (consents.customer_id, consents.occurred_at, consents.expires_at)
    is distinct from (excluded.customer_id, excluded.occurred_at, excluded.expires_at)
