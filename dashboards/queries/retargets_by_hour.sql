/*
Retargets and first responses by hour of the day, over some days.

owner: evaluation
grain: one row per hour and order
params:
  campaign: text - the campaign's name
  first_day: date - first day
  last_day: date - last day, inclusive
  language: text = null - leads of people with this language ('': not known); left out: all leads
  country: text = null - leads of people who live there ('': not known); left out: all leads
returns:
  hour: int - hour of the day in the business time zone, 0 to 23
  retarget: int - 1, 2 or 3
  retargeted: numeric - leads it was sent to in this hour
  first_responses: numeric - leads whose first message after it came in this hour
*/
select
    hour,
    retarget,
    sum(retargeted) as retargeted,
    sum(first_responses) as first_responses
from evaluation.retargets_by_hour
where campaign = :campaign
    and happened_on between :first_day and :last_day
    and language = coalesce(:language, language)
    and country = coalesce(:country, country)
group by hour, retarget
order by hour, retarget
