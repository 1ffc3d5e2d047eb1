/*
Where every enrolled person of a campaign stands, each counted once per campaign.

owner: evaluation
grain: one row per campaign, standing, state and reason
params:
  campaign: text = null - one campaign's name; left out: all of them
  language: text = null - people who had this language when they were enrolled ('': not known); left out: everybody
  country: text = null - people who lived there when they were enrolled ('': not known); left out: everybody
returns:
  campaign: text - the campaign's name
  standing: text - reached, in_doubt, to_come, not_reached or holdout
  state: text - state of the step that decides
  reason: text - reason code; empty when the state says it all
  people: numeric - people
*/
select campaign, standing, state, reason, sum(people) as people
from evaluation.people
where campaign = coalesce(:campaign, campaign)
    and language = coalesce(:language, language)
    and country = coalesce(:country, country)
group by campaign, standing, state, reason
order by people desc, campaign, standing, state, reason
