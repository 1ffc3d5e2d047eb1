/*
A provider answers again: the next rest is a first one.

owner: engineering
grain: one row, or none when it rests anew
params:
  provider: text - who
returns:
  provider: text - who
*/
delete from campaign.rests
where provider = cast(:provider as text) and rests_until <= clock_timestamp()
returning provider
