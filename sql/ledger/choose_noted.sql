/*
Note on a run what it looked at, so that the next one knows where to go on.

owner: engineering
params:
  run_id: bigint - the run
  full_pass: boolean - whether everybody was looked at
  segment_sha256: text nullable - segment and parameters; null: nobody was looked for
  changes_seen_at: timestamptz - facts that changed before this were looked at
*/
update campaign.runs
set
    full_pass = cast(:full_pass as boolean),
    segment_sha256 = cast(:segment_sha256 as text),
    changes_seen_at = cast(:changes_seen_at as timestamptz)
where run_id = cast(:run_id as bigint)
