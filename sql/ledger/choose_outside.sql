/*
How many of those whom a run enrolled are outside their conversation's free window already, or never had one (R16).

owner: engineering
grain: one row
params:
  campaign: text - the campaign
  run_id: bigint - the run
  as_of: timestamptz - decision clock
returns:
  people: bigint - enrolled, not held out, and not to be written to for free
*/
select count(*) as people
from campaign.enrolments
left join core.free_windows
    on free_windows.conversation_id = enrolments.episode
    and free_windows.opens_at <= cast(:as_of as timestamptz)
where
    enrolments.campaign = cast(:campaign as text)
    and enrolments.closed_at is null
    and coalesce(enrolments.reopened_by, enrolments.run_id) = cast(:run_id as bigint)
    and enrolments.run_id = cast(:run_id as bigint)
    and enrolments.arm = 'treated'
    and coalesce(free_windows.ends_at, '-infinity') <= cast(:as_of as timestamptz)
