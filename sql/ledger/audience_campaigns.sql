/*
Audiences that campaigns fill or once filled.

owner: engineering
grain: one row per campaign, platform and audience
returns:
  campaign: text - the campaign
  platform: text - the ad platform
  audience: text - the audience
*/
select campaign, platform, audience
from campaign.audience_uses
order by campaign, platform, audience
