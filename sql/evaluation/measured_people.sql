/*
Lay out the people of every experiment, each by the first enrolment in its version, over all aliases (I14, I15).

Whose first one was deleted after its period is in no experiment any more: who is enrolled again hangs on what the first
occasion did, so that a later one compares nothing.

owner: engineering
grain: one row per campaign, experiment version and person
params:
  as_of: timestamptz - the moment that is measured
  max_window_hours: int - length of the pre-period
*/
create temporary table measured_people on commit drop as
with enrolled as (
    select
        enrolment.*,
        coalesce(alias.customer_id, enrolment.customer_id) as person_id
    from campaign.enrolments as enrolment
    left join core.aliases as alias on alias.alias_id = enrolment.customer_id
    where enrolment.enrolled_at <= cast(:as_of as timestamptz)
),

-- When two enrolments meet by a merge, the earlier arm stands.
units as (
    select distinct on (campaign, experiment_version, person_id)
        campaign, experiment_version, person_id, customer_id, enrolment_id, arm, variant, enrolled_at,
        first_in_experiment, language, country
    from enrolled
    order by campaign, experiment_version, person_id, enrolled_at, enrolment_id
)

select
    units.campaign,
    units.experiment_version,
    units.person_id,
    units.customer_id,
    units.enrolment_id,
    units.arm,
    units.variant,
    units.enrolled_at,
    cast(units.enrolled_at at time zone place.business_zone as date) as enrolled_on,
    coalesce(units.language, customer.language, '') as language,
    coalesce(units.country, customer.country, '') as country,
    coalesce(rule.goal_event, 'purchase') as goal_event,
    coalesce(rule.goal_where, '{}') as goal_where,
    before.revenue as pre_revenue_by_currency,
    -- One covariate per person for every currency: revenue in the campaign's main currency; without one, all amounts
    -- added up, which predicts as a covariate must and is never shown as money.
    before.covariate as pre_revenue
from units
cross join campaign.database as place
left join campaign.measured_customers as customer on customer.customer_id = units.person_id
left join measured_campaigns as rule on rule.campaign = units.campaign
cross join lateral (
    select
        coalesce(jsonb_object_agg(spent.currency, spent.amount), '{}') as revenue,
        coalesce(
            sum(spent.amount) filter (where rule.currency is null or spent.currency = rule.currency), 0
        ) as covariate
    from (
        select purchase.currency, sum(purchase.amount) as amount
        from (
            select units.person_id as customer_id
            union all
            select other.alias_id from core.aliases as other where other.customer_id = units.person_id
        ) as known_as
        inner join campaign.measured_purchases as purchase on purchase.customer_id = known_as.customer_id
        where purchase.purchased_at > units.enrolled_at - make_interval(hours => :max_window_hours)
            and purchase.purchased_at <= units.enrolled_at
            and purchase.status = 'paid'
            and purchase.cancelled_by is null
        group by purchase.currency
    ) as spent
) as before
where units.first_in_experiment
