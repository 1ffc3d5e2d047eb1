/*
Where every enrolled person of a campaign stands, each counted once.

owner: evaluation
grain: one row per standing, state and reason
params:
  campaign: text - the campaign's name
returns:
  standing: text - reached, in_doubt, to_come, not_reached or holdout
  state: text - state of the step that decides
  reason: text - reason code; empty when the state says it all
  people: bigint - people
*/
select standing, state, reason, people
from evaluation.people
where campaign = :campaign
order by people desc, standing, state, reason
