/*
People whom ad platforms do not take into an audience, or do not let go.

owner: evaluation
grain: one row per platform, audience, direction and reason
params:
  campaign: text - the campaign's name
returns:
  platform: text - the ad platform
  audience: text - the audience's name
  verb: text - add or remove
  reason: text - why
  people: bigint - how many
*/
select platform, audience, verb, reason, people
from evaluation.refused_members
where campaign = :campaign
order by platform, audience, verb, reason
