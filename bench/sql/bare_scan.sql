/*
An index range scan that returns so many rows of core.purchase_days: the yardstick of the newly late.

owner: engineering
grain: one row per customer
params:
  until: timestamp - the end of the range
  people: int - how many rows
*/
select customer_id, day, number, first_day, at, expected_on, next_day, next_at
from core.purchase_days
where next_day is null and expected_on <= cast(:until as timestamp)
order by expected_on desc
limit cast(:people as integer)
