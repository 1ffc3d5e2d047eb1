/*
Decide the database's mode, once and for good.

owner: engineering
params:
  mode: text - live or simulated
*/
update campaign.database
set
    mode = cast(:mode as text),
    decided_at = clock_timestamp()
where mode is null
