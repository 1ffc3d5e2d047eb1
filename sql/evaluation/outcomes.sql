/*
Keep the outcome of every person of every experiment: a row changes only when what it says changes.

owner: engineering
grain: one row per campaign, experiment version and person
*/
insert into campaign.outcomes as known (
    campaign, experiment_version, customer_id, enrolment_id, arm, variant, enrolled_at, converted_at, purchases,
    revenue, pre_revenue
)
with spent as (
    select campaign, experiment_version, person_id, currency, sum(amount) as amount, sum(purchases) as purchases
    from followed_purchases
    where purchases = 1
    group by campaign, experiment_version, person_id, currency
),

totals as (
    select
        campaign, experiment_version, person_id,
        jsonb_object_agg(currency, amount) as revenue, sum(purchases) as purchases
    from spent
    group by campaign, experiment_version, person_id
),

goals as (
    select campaign, experiment_version, person_id, happened_at as converted_at
    from followed_purchases
    where conversions = 1
)

select
    unit.campaign, unit.experiment_version, unit.customer_id, unit.enrolment_id, unit.arm, unit.variant,
    unit.enrolled_at, goals.converted_at, coalesce(totals.purchases, 0), coalesce(totals.revenue, '{}'),
    unit.pre_revenue_by_currency
from measured_people as unit
left join totals using (campaign, experiment_version, person_id)
left join goals using (campaign, experiment_version, person_id)
on conflict (campaign, experiment_version, customer_id) do update
set
    enrolment_id = excluded.enrolment_id,
    arm = excluded.arm,
    variant = excluded.variant,
    enrolled_at = excluded.enrolled_at,
    converted_at = excluded.converted_at,
    purchases = excluded.purchases,
    revenue = excluded.revenue,
    pre_revenue = excluded.pre_revenue
where (
    known.enrolment_id, known.arm, known.variant, known.enrolled_at, known.converted_at, known.purchases,
    known.revenue, known.pre_revenue
) is distinct from (
    excluded.enrolment_id, excluded.arm, excluded.variant, excluded.enrolled_at, excluded.converted_at,
    excluded.purchases, excluded.revenue, excluded.pre_revenue
)
