/*
What the last complete choosing of a campaign looked at, and when everybody was looked at last.

owner: engineering
grain: at most one row
params:
  campaign: text - the campaign
returns:
  as_of: timestamptz - logical time of the last choosing
  segment_sha256: text - segment and parameters it used
  changes_seen_at: timestamptz - purchase days that changed before this were looked at
  full_at: timestamptz nullable - logical time of the last full pass with that segment
*/
with choosings as (
    select as_of, segment_sha256, changes_seen_at, full_pass, run_id
    from campaign.runs
    where
        flow = 'reengage'
        and campaign = cast(:campaign as text)
        and state = 'completed'
        and segment_sha256 is not null
),

last_choosing as (
    select as_of, segment_sha256, changes_seen_at
    from choosings
    order by run_id desc
    limit 1
)

select
    last_choosing.as_of,
    last_choosing.segment_sha256,
    last_choosing.changes_seen_at,
    (
        select max(choosings.as_of)
        from choosings
        where choosings.full_pass and choosings.segment_sha256 = last_choosing.segment_sha256
    ) as full_at
from last_choosing
