/*
Nothing keeps a campaign from telling an audience any more.

owner: engineering
params:
  platform: text - the ad platform
  audience: text - the audience
  campaign: text - the campaign
*/
delete from campaign.audience_troubles
where
    platform = cast(:platform as text) and audience = cast(:audience as text) and campaign = cast(:campaign as text)
