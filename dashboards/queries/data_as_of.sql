/*
What the figures were measured at, and how long a window they answer; no row before the first evaluation.

owner: evaluation
grain: at most one row
returns:
  as_of: timestamptz - the moment that was measured
  business_zone: text - where the days begin
  mode: text nullable - live or simulated; none before anything was chosen or sent
  max_window_hours: int - longest window in hours
  max_window_hours_by_place: int - longest window in hours while narrowed to a language or country
  last_run_as_of: timestamptz nullable - the newest moment at which anything was chosen or sent
*/
select
    measured.as_of,
    measured.business_zone,
    place.mode,
    measured.max_window_hours,
    measured.max_window_hours_by_place,
    (
        select max(runs.as_of)
        from evaluation.runs
        where runs.flow in ('reengage', 'dispatch')
    ) as last_run_as_of
from evaluation.data_as_of as measured
cross join evaluation.database as place
