/*
Whether consents or contacts of so many people were written at once, at or after a moment of the database's clock, that
nobody noted whose.

owner: engineering
grain: one row
params:
  since: timestamptz - core/cycle_horizon of the run before
returns:
  is_filled: boolean - whether a run must look at everybody
*/
select exists (
    select from core.ways_filled
    where filled_at >= cast(:since as timestamptz)
) as is_filled
