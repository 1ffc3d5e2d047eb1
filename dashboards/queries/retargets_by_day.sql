/*
Retargets, first responses and qualifications on the day each happened.

owner: evaluation
grain: one row per day and order
params:
  campaign: text - the campaign's name
  language: text = null - leads of people with this language ('': not known); left out: all leads
  country: text = null - leads of people who live there ('': not known); left out: all leads
returns:
  day: date - day in the business time zone
  retarget: int - 1, 2 or 3
  retargeted: numeric - leads it was sent to on this day
  first_responses: numeric - leads whose first message after it came on this day
  qualified: numeric - leads whose qualification after it fell on this day
*/
select
    happened_on as day,
    retarget,
    sum(retargeted) as retargeted,
    sum(first_responses) as first_responses,
    sum(qualified) as qualified
from evaluation.retargets_by_hour
where campaign = :campaign
    and language = coalesce(:language, language)
    and country = coalesce(:country, country)
group by happened_on, retarget
order by happened_on, retarget
