/*
Say what the measured tables were measured at.

owner: engineering
grain: one row
params:
  as_of: timestamptz - the moment that was measured
  max_window_hours: int - longest window the buckets answer
  max_window_hours_by_place: int - the same under a language or country filter
*/
insert into evaluation.data_as_of (as_of, business_zone, max_window_hours, max_window_hours_by_place)
select
    cast(:as_of as timestamptz), business_zone, cast(:max_window_hours as integer),
    cast(:max_window_hours_by_place as integer)
from campaign.database
