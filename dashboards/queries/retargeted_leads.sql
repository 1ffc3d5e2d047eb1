/*
Leads that each retarget was sent to, by the milestone they were at when the next one left.

owner: evaluation
grain: one row per order and milestone
params:
  campaign: text - the campaign's name
  language: text = null - leads of people with this language ('': not known); left out: all leads
  country: text = null - leads of people who live there ('': not known); left out: all leads
returns:
  retarget: int - 1, 2 or 3
  milestone: text - lead, deep_conversation, qualified, or qualified_before: before this retarget, known only later
  leads: numeric - leads
*/
select retarget, milestone, sum(leads) as leads
from evaluation.retargeted_leads
where campaign = :campaign
    and language = coalesce(:language, language)
    and country = coalesce(:country, country)
group by retarget, milestone
order by retarget, milestone
