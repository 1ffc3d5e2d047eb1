/*
Call a provider again before its rest is over: the next message is the probe, as after any rest.

owner: engineering
grain: one row, or none when it does not rest
params:
  provider: text - who
returns:
  provider: text - who
*/
update campaign.rests
set rests_until = clock_timestamp()
where provider = cast(:provider as text) and rests_until > clock_timestamp()
returning provider
