/*
How much each audience of a campaign still has to be told.

owner: engineering
grain: one row per platform and audience with something to tell
params:
  campaign: text - the campaign
returns:
  platform: text - the ad platform
  audience: text - the audience
  removes: bigint - people to take out
  adds: bigint - people to put in
*/
select
    platform, audience,
    count(*) filter (where is_leaving) as removes,
    count(*) filter (where desired) as adds
from campaign.audience_members
where campaign = cast(:campaign as text) and is_pending
group by platform, audience
order by platform, audience
