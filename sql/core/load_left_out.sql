/*
Leave out a held load: nothing of it is merged, and what it holds waits for a good load of its source.

owner: engineering
params:
  load_id: bigint - the load
  reason: text - why, without row values
*/
update raw.loads
set state = 'failed', reason = cast(:reason as text), lines_in = 0
where load_id = cast(:load_id as bigint) and state = 'held'
