/*
Remember by keyed hash who is not to come back: ids, addresses, conversations and browsers.

owner: engineering
grain: one row per hash that was not known
params:
  hashes: text[] - keyed hashes
  at: timestamptz - when it was asked for
*/
insert into raw.erased (customer_hash, erased_at)
select distinct named.hash, cast(:at as timestamptz)
from unnest(cast(:hashes as text[])) as named (hash)
on conflict (customer_hash) do nothing
