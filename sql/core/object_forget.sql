/*
Forget that a load took its object, so that it counts as new again.

owner: engineering
params:
  load_id: bigint - the load
*/
delete from raw.objects
where load_id = cast(:load_id as bigint)
