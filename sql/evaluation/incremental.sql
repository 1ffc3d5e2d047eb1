/*
Add up what people of each arm did after enrolment, per cell, currency and whole hour since enrolment.

owner: engineering
grain: one row per campaign, experiment version, arm, variant, currency, enrolment day and hour since enrolment
*/
insert into evaluation.incremental (
    campaign, experiment_version, arm, variant, currency, enrolled_on, hours,
    conversions, purchases, revenue, revenue_squares, revenue_by_pre
)
select
    campaign, experiment_version, arm, variant, currency, enrolled_on, hours,
    sum(conversions), sum(purchases), sum(revenue), sum(revenue_squares), sum(revenue_by_pre)
from incremental_entries
group by campaign, experiment_version, arm, variant, currency, enrolled_on, hours
