/*
Where every enrolled person of a campaign stands, each counted once per campaign.

owner: evaluation
grain: one row per campaign, standing, state and reason
params:
  campaign: text = null - one campaign's name; left out: all of them
returns:
  campaign: text - the campaign's name
  standing: text - reached, in_doubt, to_come, not_reached or holdout
  state: text - state of the step that decides
  reason: text - reason code; empty when the state says it all
  people: bigint - people
*/
select campaign, standing, state, reason, people
from evaluation.people
where campaign = coalesce(:campaign, campaign)
order by people desc, campaign, standing, state, reason
