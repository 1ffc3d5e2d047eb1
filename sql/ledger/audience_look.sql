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
  since: timestamptz - from where on the next one looks for what happens by itself
  seen_at: timestamptz - what changed before this was seen
  full_at: timestamptz - when everybody was looked at
*/
select
    rules_sha256, run_id, as_of, seen_at, full_at,
    greatest(
        -- A run closes episodes as of its own moment, and may do so after a dispatch has looked at a later one.
        (
            select min(theirs.as_of)
            from campaign.audience_looks as theirs
            where theirs.campaign = looks.campaign
        ),
        full_at - interval '1 day'
    ) as since
from campaign.audience_looks as looks
where campaign = cast(:campaign as text) and adds = cast(:adds as boolean)
