/*
Whether everybody's purchases or events were written at once at or after a moment of the database's clock.

owner: engineering
grain: one row
params:
  since: timestamptz - core/cycle_horizon of the run before
returns:
  is_filled: boolean - whether a run must look at everybody
*/
select exists (
    select from core.people_filled
    where filled_at >= cast(:since as timestamptz)
) as is_filled
