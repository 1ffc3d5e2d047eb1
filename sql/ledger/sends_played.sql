/*
Simulated databases: note up to which moment the sends of these campaigns have been played.

owner: engineering
params:
  campaigns: text[] - the campaigns
  at: timestamptz - the moment
*/
insert into campaign.campaigns as known (campaign, dispatched_at)
select campaign, cast(:at as timestamptz)
from unnest(cast(:campaigns as text[])) as played (campaign)
on conflict (campaign) do update
set dispatched_at = greatest(known.dispatched_at, excluded.dispatched_at)
