/*
Say of each order what cancels it, whichever came first; the customers of orders that change are touched.

owner: engineering
grain: one row per customer newly touched
*/
with linked as (
    select
        cancel_targets.order_id,
        min(cancelling.order_id) as cancelled_by
    from cancel_targets
    left join
        core.purchases as cancelling
        on
            cancel_targets.order_id = cancelling.cancels
            and cancelling.status <> 'paid'
            and cancelling.order_id <> cancel_targets.order_id
    group by cancel_targets.order_id
),

changed as (
    update core.purchases
    set cancelled_by = linked.cancelled_by
    from linked
    where
        purchases.order_id = linked.order_id
        and purchases.cancelled_by is distinct from linked.cancelled_by
    returning purchases.customer_id, purchases.purchased_at
)

insert into touched_customers as touched (customer_id, since)
select
    customer_id,
    min(purchased_at)
from changed
group by customer_id
on conflict (customer_id) do update
set since = least(touched.since, excluded.since)
