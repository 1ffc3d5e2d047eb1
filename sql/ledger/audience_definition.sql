/*
A campaign as it was when its audiences were looked at last.

owner: engineering
grain: one row, or none
params:
  campaign: text - the campaign
returns:
  definition: jsonb - its model
*/
select definition
from campaign.audience_looks
where campaign = cast(:campaign as text) and definition is not null
order by as_of desc
limit 1
