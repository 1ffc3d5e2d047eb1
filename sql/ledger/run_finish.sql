/*
Close a run with how it ended and what it counted.

owner: engineering
params:
  run_id: bigint - the run
  state: text - completed, failed or superseded
  counts: jsonb - what it counted, never about one person
*/
update campaign.runs
set
    state = cast(:state as text),
    counts = counts || cast(:counts as jsonb),
    finished_at = clock_timestamp()
where run_id = cast(:run_id as bigint)
