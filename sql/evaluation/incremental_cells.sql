/*
Count the people of each experiment by assigned arm and enrolment day.

owner: engineering
grain: one row per campaign, experiment version, arm, variant and enrolment day
*/
insert into evaluation.incremental_cells (
    campaign, experiment_version, arm, variant, enrolled_on, enrolled_until, people, pre_revenue, pre_revenue_squares
)
select
    unit.campaign, unit.experiment_version, unit.arm, unit.variant, unit.enrolled_on,
    cast(unit.enrolled_on + 1 as timestamp) at time zone place.business_zone,
    count(*), sum(unit.pre_revenue), sum(unit.pre_revenue * unit.pre_revenue)
from measured_people as unit
cross join campaign.database as place
group by unit.campaign, unit.experiment_version, unit.arm, unit.variant, unit.enrolled_on, place.business_zone
