/*
How many leads each retarget was sent to, and how many of them answered and qualified before the next one left.

owner: evaluation
grain: one row per order
params:
  campaign: text - the campaign's name
returns:
  retarget: int unique - 1, 2 or 3
  leads: numeric - leads it was sent to
  answered: numeric - of them, who wrote
  qualified: numeric - of them, who qualified
*/
select
    retarget,
    sum(retargeted) as leads,
    sum(first_responses) as answered,
    sum(qualified) as qualified
from evaluation.retargets_by_hour
where campaign = :campaign
group by retarget
order by retarget
