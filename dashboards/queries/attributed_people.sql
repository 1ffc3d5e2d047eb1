/*
Distinct people reached, and how many of them reached the goal within a window after a message.

owner: evaluation
grain: one row per grain and value
params:
  campaign: text - the campaign's name
  hours: int = 24 - attribution window in hours
returns:
  grain: text - campaign, step, channel or variant
  value: text - the step, channel or variant; the campaign's name for the grain campaign
  reached: bigint - people with at least one accepted message
  converted: numeric - of them, people with a goal credited within the window
*/
with converted as (
    select grain, value, sum(people) as people
    from evaluation.converted_people
    where campaign = :campaign
        and hours < :hours
    group by grain, value
)

select reached.grain, reached.value, reached.people as reached, coalesce(converted.people, 0) as converted
from evaluation.reached_people as reached
left join converted on converted.grain = reached.grain and converted.value = reached.value
where reached.campaign = :campaign
order by reached.grain, reached.value
