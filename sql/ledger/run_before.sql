/*
The last completed run of a campaign: what it has settled is not looked at again, unless this run makes a full pass.

owner: engineering
grain: at most one row
params:
  campaign: text - the campaign
  run_id: bigint - this run
returns:
  run_id: bigint - its number
  config_sha256: text - the campaign as it was read then
  changes_seen_at: timestamptz - facts that changed before this were looked at
*/
select run_id, config_sha256, changes_seen_at
from campaign.runs
where
    flow = 'reengage'
    and campaign = cast(:campaign as text)
    and state = 'completed'
    and changes_seen_at is not null
    and not exists (
        select from campaign.runs as this
        where this.run_id = cast(:run_id as bigint) and this.full_pass
    )
order by run_id desc
limit 1
