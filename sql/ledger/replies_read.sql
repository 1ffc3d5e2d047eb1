/*
Note that the messages of these loads have been read.

owner: engineering
params:
  load_ids: bigint[] - the loads
*/
insert into campaign.judged_loads (load_id)
select unnest(cast(:load_ids as bigint[]))
on conflict (load_id) do nothing
