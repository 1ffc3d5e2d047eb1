/*
Suppress the addresses of somebody who asked to be forgotten, by keyed hash, so that nobody writes to them by another
way (C4).

owner: engineering
grain: one row per address and channel that was not suppressed
params:
  addresses: jsonb - address_hmac and channel of each
  at: timestamptz - when it was asked for
*/
insert into core.suppressions (address_hmac, channel, scope, reason, suppressed_at)
select distinct address.address_hmac, address.channel, 'marketing', 'erased', cast(:at as timestamptz)
from jsonb_to_recordset(cast(:addresses as jsonb)) as address (address_hmac text, channel text)
on conflict (address_hmac, channel, scope) do nothing
