/*
How many campaigns a load holds.

owner: engineering
grain: one row
params:
  load_id: bigint - the load
returns:
  campaigns: bigint - campaigns held because of it
*/
select count(*) as campaigns
from campaign.holds
where load_id = cast(:load_id as bigint)
