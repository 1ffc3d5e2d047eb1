/*
People whom ad platforms do not take into an audience, or do not let go.

owner: evaluation
grain: one row per campaign, platform, audience, direction and reason
params:
  campaign: text = null - one campaign's name; left out: all of them
returns:
  campaign: text - the campaign's name
  platform: text - the ad platform
  audience: text - the audience's name
  verb: text - add or remove
  reason: text - why
  people: bigint - how many
*/
select campaign, platform, audience, verb, reason, people
from evaluation.refused_members
where campaign = coalesce(:campaign, campaign)
order by campaign, platform, audience, verb, reason
