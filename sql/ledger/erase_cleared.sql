/*
Note what an erasure has done so far.

owner: engineering
params:
  receipt_id: uuid - the erasure
  counts: jsonb - rows per table, all passes together
  is_cleared: boolean - every table was gone through
  is_complete: boolean - nothing waits: from now on the receipt names nobody
*/
update campaign.erasures
set
    counts = cast(:counts as jsonb),
    cleared_at = case when cast(:is_cleared as boolean) then coalesce(cleared_at, clock_timestamp()) end,
    completed_at = case when cast(:is_complete as boolean) then clock_timestamp() end,
    person = case when not cast(:is_complete as boolean) then person end,
    pseudonym = case when not cast(:is_complete as boolean) then pseudonym end
where receipt_id = cast(:receipt_id as uuid) and completed_at is null
