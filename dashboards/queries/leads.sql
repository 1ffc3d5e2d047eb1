/*
Every lead of a campaign once: how far it has come, the last retarget it was sent, the one that it qualified after.

owner: evaluation
grain: one row per milestone, last retarget and retarget that the qualification is credited to
params:
  campaign: text - the campaign's name
  language: text = null - leads of people with this language ('': not known); left out: all leads
  country: text = null - leads of people who live there ('': not known); left out: all leads
returns:
  milestone: text - the furthest milestone: lead, deep_conversation or qualified
  last_retarget: int - highest order sent to these leads; 0 for none
  qualified_after: int - order that their qualification is credited to; 0 for none, or not qualified
  leads: numeric - leads
*/
select milestone, last_retarget, qualified_after, sum(leads) as leads
from evaluation.leads
where campaign = :campaign
    and language = coalesce(:language, language)
    and country = coalesce(:country, country)
group by milestone, last_retarget, qualified_after
order by last_retarget, qualified_after, milestone
