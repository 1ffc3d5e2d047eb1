/*
Hold a load, or let a held one go back to landed so that it can be merged.

owner: engineering
params:
  load_id: bigint - the load
  state: text - held or landed
  reason: text nullable - why it is held, without row values
  released: boolean - true when a person released it
*/
update raw.loads
set
    state = cast(:state as text),
    reason = cast(:reason as text),
    released_at = case when cast(:released as boolean) then clock_timestamp() else released_at end
where load_id = cast(:load_id as bigint) and state in ('landed', 'held')
