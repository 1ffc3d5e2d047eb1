/*
How far the last sync of a campaign looked.

owner: engineering
grain: one row, or none
params:
  campaign: text - the campaign
  adds: boolean - one that looked for who is new too; else the last that looked for who leaves
returns:
  rules_sha256: text - what decided
  run_id: bigint - its run
  as_of: timestamptz - its decision clock
  seen_at: timestamptz - what changed before this was seen
  full_at: timestamptz - when everybody was looked at
*/
select rules_sha256, run_id, as_of, seen_at, full_at
from campaign.audience_looks
where campaign = cast(:campaign as text) and adds = cast(:adds as boolean)
