/*
Open again the episodes of people who had left the segment and are back in it with the same occasion.

owner: engineering
grain: one row
params:
  run_id: bigint - the run
returns:
  reopened: bigint - how many
*/
with reopened as (
    update campaign.enrolments
    set
        closed_at = null,
        close_reason = null,
        reopened_by = cast(:run_id as bigint)
    from chosen_known
    inner join chosen on chosen.person_id = chosen_known.person_id and chosen.episode = chosen_known.episode
    where
        enrolments.enrolment_id = chosen_known.enrolment_id
        and enrolments.close_reason = 'left_segment'
    returning enrolments.enrolment_id
)

select count(*) as reopened
from reopened
