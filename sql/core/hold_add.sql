/*
Hold a campaign because of a load that is not believed; the claim refuses its rows until the hold is gone.

owner: engineering
params:
  campaign: text - the campaign
  load_id: bigint - the load
  reason: text - source, entity and what failed, without row values
*/
insert into campaign.holds (campaign, load_id, reason)
values (cast(:campaign as text), cast(:load_id as bigint), cast(:reason as text))
on conflict (campaign, load_id) do update
set reason = excluded.reason
where holds.reason is distinct from excluded.reason
