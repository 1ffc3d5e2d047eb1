/*
Pause or resume a campaign, or everything ('*'); the next claim obeys, also in the middle of a run.

owner: engineering
grain: one row
params:
  campaign: text - the campaign, or * for all
  state: text - paused or active
  reason: text nullable - why, for whoever looks
returns:
  campaign: text - what was changed
  state: text - its state now
*/
insert into campaign.campaigns as known (campaign, state, reason)
values (cast(:campaign as text), cast(:state as text), cast(:reason as text))
on conflict (campaign) do update
set
    state = excluded.state,
    reason = excluded.reason,
    changed_at = clock_timestamp(),
    resumed_at = case when excluded.state = 'active' then clock_timestamp() else known.resumed_at end
returning known.campaign, known.state
