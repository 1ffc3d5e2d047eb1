/*
Purchases that came under ids of WhatsApp count for the customers whom these are now, or for the ids again.

owner: engineering
grain: one row per customer whose purchases change, into the temporary table touched_customers
*/
with found as materialized (
    select
        purchases.order_id,
        purchases.purchased_at,
        purchases.customer_id as was,
        linked.writer_id,
        linked.customer_id
    from linked_writers as linked
    inner join core.purchases
        on
            purchases.came_as = linked.writer_id
            or (purchases.customer_id = linked.writer_id and purchases.came_as is null)
    where purchases.customer_id <> linked.customer_id
),

moved as (
    update core.purchases
    set customer_id = found.customer_id, came_as = nullif(found.writer_id, found.customer_id)
    from found
    where purchases.order_id = found.order_id
),

whose as (
    select was as customer_id, purchased_at
    from found
    union all
    select customer_id, purchased_at
    from found
)

insert into touched_customers as touched (customer_id, since)
select
    customer_id,
    min(purchased_at)
from whose
group by customer_id
on conflict (customer_id) do update
set since = least(touched.since, excluded.since)
