/*
Lay out what the people of every experiment bought after enrolment, reached or not, and their first goal.

owner: engineering
grain: one row per person and purchase (purchases = 1), and one per person with a goal (conversions = 1)
params:
  as_of: timestamptz - the moment that is measured
  max_window_hours: int - longest window
*/
create temporary table followed_purchases on commit drop as
with purchases as materialized (
    select
        unit.campaign,
        unit.experiment_version,
        unit.person_id,
        purchase.order_id,
        purchase.purchased_at,
        purchase.currency,
        purchase.amount,
        unit.goal_event = 'purchase' and purchase.described @> unit.goal_where as is_goal,
        coalesce(
            sum(purchase.amount) over (
                partition by unit.campaign, unit.experiment_version, unit.person_id, purchase.currency
                order by purchase.purchased_at, purchase.order_id
                rows between unbounded preceding and 1 preceding
            ),
            0
        ) as earlier
    from measured_people as unit
    cross join lateral (
        select
            bought.order_id,
            bought.purchased_at,
            bought.currency,
            bought.amount,
            jsonb_build_object(
                'currency', bought.currency, 'coupon_code', bought.coupon_code, 'amount', bought.amount
            ) as described
        from (
            select unit.person_id as customer_id
            union all
            select other.alias_id from core.aliases as other where other.customer_id = unit.person_id
        ) as known_as
        inner join campaign.measured_purchases as bought on bought.customer_id = known_as.customer_id
        where bought.purchased_at > unit.enrolled_at
            and bought.purchased_at < unit.enrolled_at + make_interval(hours => :max_window_hours)
            and bought.purchased_at <= cast(:as_of as timestamptz)
            and bought.status = 'paid'
            and bought.cancelled_by is null
        offset 0  -- drive from the people by the index (customer_id, purchased_at), never from the purchases
    ) as purchase
),

goals as (
    select campaign, experiment_version, person_id, purchased_at as reached_at, order_id as source_id, currency
    from purchases
    where is_goal
    union all
    select unit.campaign, unit.experiment_version, unit.person_id, event.occurred_at, event.event_id, 'XXX'
    from measured_people as unit
    cross join lateral (
        select happened.event_id, happened.occurred_at
        from (
            select unit.person_id as customer_id
            union all
            select other.alias_id from core.aliases as other where other.customer_id = unit.person_id
        ) as known_as
        inner join campaign.measured_events as happened on happened.customer_id = known_as.customer_id
        where happened.name = unit.goal_event
            and happened.occurred_at > unit.enrolled_at
            and happened.occurred_at < unit.enrolled_at + make_interval(hours => :max_window_hours)
            and happened.occurred_at <= cast(:as_of as timestamptz)
            and coalesce(happened.properties, '{}') @> unit.goal_where
        offset 0
    ) as event
    where unit.goal_event <> 'purchase'
),

first_goals as (
    select distinct on (campaign, experiment_version, person_id)
        campaign, experiment_version, person_id, reached_at, currency
    from goals
    order by campaign, experiment_version, person_id, reached_at, source_id
)

select
    campaign, experiment_version, person_id, currency, purchased_at as happened_at, amount, earlier,
    0 as conversions, 1 as purchases
from purchases
union all
select campaign, experiment_version, person_id, currency, reached_at, 0, 0, 1, 0
from first_goals
