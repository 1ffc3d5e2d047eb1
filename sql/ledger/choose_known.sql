/*
Every enrolment of the campaign that the chosen people have, under any id they ever had.

owner: engineering
params:
  campaign: text - the campaign
*/
create temporary table chosen_known on commit drop as
select
    chosen_ids.person_id, enrolments.enrolment_id, enrolments.episode, enrolments.enrolled_at,
    enrolments.experiment_version, enrolments.arm, enrolments.variant, enrolments.assigned_u, enrolments.variant_u,
    enrolments.close_reason
from chosen_ids
inner join campaign.enrolments
    on enrolments.campaign = cast(:campaign as text)
    and enrolments.customer_id = chosen_ids.customer_id
