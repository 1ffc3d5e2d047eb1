/*
What is switched off by hand: campaigns by their names, and `*` for everything.

owner: engineering
grain: one row per name
returns:
  campaign: text unique - the campaign, or `*`
*/
select campaign
from campaign.campaigns
where state = 'paused'
order by campaign
