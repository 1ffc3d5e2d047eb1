/*
Close the landing of a load: how many lines came, and what of the file was not used.

owner: engineering
params:
  load_id: bigint - the load
  lines_in: bigint - lines in its partition, broken ones included
  report: jsonb - ignored and missing columns
*/
update raw.loads
set lines_in = cast(:lines_in as bigint), report = cast(:report as jsonb)
where load_id = cast(:load_id as bigint)
