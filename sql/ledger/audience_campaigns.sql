/*
Campaigns that have told an ad platform about people.

owner: engineering
grain: one row per campaign, platform and audience
returns:
  campaign: text - the campaign
  platform: text - the ad platform
  audience: text - the audience
*/
select distinct campaign, platform, audience
from campaign.audience_members
where desired or applied
order by campaign, platform, audience
