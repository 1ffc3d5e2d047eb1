/*
Audiences that a campaign has anybody in, or had.

owner: engineering
grain: one row per platform and audience
params:
  campaign: text - the campaign
returns:
  platform: text - the ad platform
  audience: text - the audience
*/
select platform, audience
from campaign.audiences
where exists (
    select from campaign.audience_members as members
    where
        members.platform = audiences.platform
        and members.audience = audiences.audience
        and members.campaign = cast(:campaign as text)
)
order by platform, audience
