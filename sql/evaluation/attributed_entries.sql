/*
Lay out every purchase and first goal credited to the last accepted send before it (A17, I15).

owner: engineering
grain: one row per credited purchase (purchases = 1), and one per send with a goal (conversions = 1)
params:
  as_of: timestamptz - the moment that is measured
  max_window_hours: int - longest window
*/
create temporary table attributed_entries on commit drop as
with credits as materialized (
    select
        send.send_key,
        purchase.order_id,
        purchase.purchased_at,
        purchase.currency,
        purchase.amount,
        send.goal_event = 'purchase' and purchase.described @> send.goal_where as is_goal,
        coalesce(
            sum(purchase.amount) over (
                partition by send.send_key, purchase.currency
                order by purchase.purchased_at, purchase.order_id
                rows between unbounded preceding and 1 preceding
            ),
            0
        ) as earlier
    from measured_sends as send
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
            select send.person_id as customer_id
            union all
            select other.alias_id from core.aliases as other where other.customer_id = send.person_id
        ) as known_as
        inner join campaign.measured_purchases as bought on bought.customer_id = known_as.customer_id
        where bought.purchased_at > send.accepted_at
            and bought.purchased_at <= send.last_until
            and bought.purchased_at < send.accepted_at + make_interval(hours => :max_window_hours)
            and bought.purchased_at <= cast(:as_of as timestamptz)
            and bought.status = 'paid'
            and bought.cancelled_by is null
        offset 0  -- drive from the sends by the index (customer_id, purchased_at), never from the purchases
    ) as purchase
),

goals as (
    select send_key, purchased_at as reached_at, order_id as source_id, currency
    from credits
    where is_goal
    union all
    select send.send_key, event.occurred_at, event.event_id, 'XXX'
    from measured_sends as send
    cross join lateral (
        select happened.event_id, happened.occurred_at
        from (
            select send.person_id as customer_id
            union all
            select other.alias_id from core.aliases as other where other.customer_id = send.person_id
        ) as known_as
        inner join campaign.measured_events as happened on happened.customer_id = known_as.customer_id
        where happened.name = send.goal_event
            and happened.occurred_at > send.accepted_at
            and happened.occurred_at <= send.last_until
            and happened.occurred_at < send.accepted_at + make_interval(hours => :max_window_hours)
            and happened.occurred_at <= cast(:as_of as timestamptz)
            and coalesce(happened.properties, '{}') @> send.goal_where
        offset 0
    ) as event
    where send.goal_event <> 'purchase'
),

first_goals as (
    select distinct on (send_key) send_key, reached_at, currency
    from goals
    order by send_key, reached_at, source_id
),

entries as (
    select
        send_key, currency, purchased_at as happened_at, amount, earlier, 0 as conversions, 1 as purchases
    from credits
    union all
    select send_key, currency, reached_at, 0, 0, 1, 0
    from first_goals
)

select
    send.campaign,
    send.step,
    send.channel,
    send.variant,
    send.person_id,
    send.sent_on,
    send.language,
    send.country,
    entries.currency,
    cast(floor(extract(epoch from entries.happened_at - send.accepted_at) / 3600) as integer) as hours,
    entries.conversions,
    entries.purchases,
    entries.amount as revenue,
    entries.amount * entries.amount + 2 * entries.amount * entries.earlier as revenue_squares,
    entries.amount * send.pre_revenue as revenue_by_pre
from entries
inner join measured_sends as send using (send_key)
