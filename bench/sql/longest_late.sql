/*
The least max_days_late with which lapsing_customers finds at least so many people.

owner: engineering
grain: one row
params:
  today: date - the day of as_of
  people: int - how many
*/
select ceil(extract(epoch from cast(:today as timestamp) - expected_on) / 86400)
from core.purchase_days
where next_day is null and expected_on <= cast(:today as timestamp) - interval '8 days'
order by expected_on desc
offset cast(:people as integer) - 1
limit 1
