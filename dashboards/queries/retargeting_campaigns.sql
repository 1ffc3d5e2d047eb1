/*
Campaigns with leads in the system.

owner: evaluation
grain: one row per campaign
returns:
  campaign: text unique - the campaign's name
*/
select distinct campaign
from evaluation.leads
order by campaign
