/*
The state of every ad that is known, as of a moment.

owner: engineering
grain: one row per ad
params:
  as_of: timestamptz - the moment asked about
returns:
  ad_id: text unique - the ad
  has_bot: boolean - whether a bot is linked to it
  status: text - active or paused
*/
select distinct on (ad_id)
    ad_id,
    bot_id is not null as has_bot,
    status
from core.ads
where updated_at <= cast(:as_of as timestamptz)
order by ad_id, updated_at desc
