/*
Whether a campaign is switched off by hand, over, or held because its data are not trusted.

owner: engineering
grain: one row
params:
  campaign: text - the campaign
returns:
  is_paused: boolean - it, or everything, is paused
  is_ended: boolean - it was ended by hand
  is_held: boolean - a data gate failed that it depends on
*/
select
    exists (
        select from campaign.campaigns
        where campaigns.state = 'paused' and campaigns.campaign in (cast(:campaign as text), '*')
    ) as is_paused,
    exists (
        select from campaign.campaigns
        where campaigns.state = 'ended' and campaigns.campaign = cast(:campaign as text)
    ) as is_ended,
    exists (select from campaign.holds where holds.campaign = cast(:campaign as text)) as is_held
