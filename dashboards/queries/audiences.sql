/*
Size of the audiences a campaign keeps on ad platforms.

owner: evaluation
grain: one row per platform and audience
params:
  campaign: text - the campaign's name
returns:
  platform: text - the ad platform
  audience: text - the audience's name
  wanted: bigint - people who should be in it
  applied: bigint - people who are in it
  to_add: bigint - people still to be added
  to_remove: bigint - people still to be removed
*/
select platform, audience, wanted, applied, to_add, to_remove
from evaluation.audiences
where campaign = :campaign
order by platform, audience
