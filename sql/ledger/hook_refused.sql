/*
Count a request that was turned away, or that is about somebody erased; nothing else of it is kept (P13).

owner: engineering
params:
  hook: text - where it came in
  reason: text - why nothing is kept
*/
insert into campaign.refused_hooks (hook, reason, day, requests)
values (cast(:hook as text), cast(:reason as text), cast(clock_timestamp() at time zone 'UTC' as date), 1)
on conflict (hook, reason, day) do update set requests = refused_hooks.requests + 1
