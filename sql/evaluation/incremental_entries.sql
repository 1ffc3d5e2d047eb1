/*
Lay out every purchase and first goal after enrolment with its person's arm, place and bucket.

owner: engineering
grain: one row per row of followed_purchases
*/
create temporary table incremental_entries on commit drop as
select
    unit.campaign,
    unit.experiment_version,
    unit.arm,
    unit.variant,
    unit.enrolled_on,
    unit.language,
    unit.country,
    followed.currency,
    cast(floor(extract(epoch from followed.happened_at - unit.enrolled_at) / 3600) as integer) as hours,
    followed.conversions,
    followed.purchases,
    followed.amount as revenue,
    followed.amount * followed.amount + 2 * followed.amount * followed.earlier as revenue_squares,
    followed.amount * unit.pre_revenue as revenue_by_pre
from followed_purchases as followed
inner join measured_people as unit using (campaign, experiment_version, person_id)
