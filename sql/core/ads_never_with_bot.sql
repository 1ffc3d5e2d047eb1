/*
Those of a campaign's ads that are known and that no bot was ever linked to (R2).

owner: engineering
grain: one row per ad
params:
  ads: text[] - the ads a campaign names
  as_of: timestamptz - the moment asked about
returns:
  ad_id: text unique - the ad
*/
select ad_id
from core.ads
where ad_id = any(cast(:ads as text[])) and updated_at <= cast(:as_of as timestamptz)
group by ad_id
having bool_and(bot_id is null)
order by ad_id
