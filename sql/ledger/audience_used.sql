/*
Remember that a campaign fills an audience.

owner: engineering
params:
  campaign: text - the campaign
  platform: text - the ad platform
  audience: text - the audience
*/
insert into campaign.audience_uses (campaign, platform, audience)
values (cast(:campaign as text), cast(:platform as text), cast(:audience as text))
on conflict do nothing
