/*
Whose consents, what stands in their way, or contact changed at or after a moment of the database's clock, at most so
many people.

owner: engineering
grain: one row per id
params:
  since: timestamptz - core/cycle_horizon of the run before
  at_most: int - how many rows are enough to know
returns:
  customer_id: text unique - who
*/
select distinct customer_id
from core.ways_changed
where changed_at >= cast(:since as timestamptz)
limit cast(:at_most as integer)
