/*
Count every send of the ledger by where it stands.

owner: engineering
grain: one row per campaign, step, channel, variant, state and reason
params:
  as_of: timestamptz - the moment that is measured
*/
insert into evaluation.sends (campaign, step, channel, variant, state, reason, sends)
select campaign, step, channel, variant, state, coalesce(reason, ''), count(*)
from campaign.sends
where planned_at <= cast(:as_of as timestamptz)
group by campaign, step, channel, variant, state, coalesce(reason, '')
