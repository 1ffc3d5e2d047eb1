/*
Whose orders a load takes away, or what they cancelled before: as stored, before newer versions replace it.

owner: engineering
grain: one row per customer, into the temporary table touched_customers; orders into cancel_targets
*/
with replaced as (
    select
        stored.customer_id,
        stored.purchased_at,
        stored.cancels
    from checked
    inner join stored using (key)
    where checked.verdict = 'accepted' and checked.head
),

cancelled_before as (
    insert into cancel_targets (order_id)
    select distinct cancels
    from replaced
    where cancels is not null
)

insert into touched_customers as touched (customer_id, since)
select
    customer_id,
    min(purchased_at)
from replaced
group by customer_id
on conflict (customer_id) do update
set since = least(touched.since, excluded.since)
