/*
Campaigns with at least one enrolled person.

owner: evaluation
grain: one row per campaign
returns:
  campaign: text unique - the campaign's name
  people: numeric - people enrolled
*/
select campaign, sum(people) as people
from evaluation.people
group by campaign
order by campaign
