/*
Open again the episodes of people who had left the segment and are back in it with the same occasion.

owner: engineering
grain: one row
params:
  campaign: text - the campaign
returns:
  reopened: bigint - how many
*/
with reopened as (
    update campaign.enrolments
    set
        closed_at = null,
        close_reason = null
    from chosen
    inner join chosen_ids on chosen_ids.person_id = chosen.person_id
    where
        enrolments.campaign = cast(:campaign as text)
        and enrolments.customer_id = chosen_ids.customer_id
        and enrolments.episode = chosen.episode
        and enrolments.close_reason = 'left_segment'
    returning enrolments.enrolment_id
)

select count(*) as reopened
from reopened
