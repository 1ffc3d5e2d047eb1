/*
Remember addresses the provider refused for good, so that nobody writes to them again (P15, P16). Who unsubscribed at
the provider still gets what a purchase brings with it (P17).

owner: engineering
params:
  addresses: jsonb - channel, address_hmac and reason of each
  at: timestamptz nullable - simulated moment; null: the database's clock
*/
insert into core.suppressions (address_hmac, channel, scope, reason, suppressed_at)
select distinct on (refused.address_hmac, refused.channel)
    refused.address_hmac, refused.channel,
    case when refused.reason = 'unsubscribed' then 'marketing' else 'all' end,
    refused.reason, coalesce(cast(:at as timestamptz), clock_timestamp())
from jsonb_to_recordset(cast(:addresses as jsonb)) as refused (channel text, address_hmac text, reason text)
order by refused.address_hmac, refused.channel
on conflict (address_hmac, channel, scope) do nothing
