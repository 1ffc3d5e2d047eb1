/*
Bring the purchase days of the touched customers to what their purchases say now (A15).

Reads the temporary table touched_customers (customer_id). Days are recomputed from the purchases and never
incremented, so late rows, refunds, corrections and repeats need no rule of their own; only rows that differ are
written, and whose days changed is remembered.

owner: engineering
grain: one row
returns:
  customers: bigint - people whose purchase days changed
*/
with counted_days as (
    select
        purchases.customer_id,
        cast(purchases.purchased_at at time zone (select business_zone from campaign.database) as date) as day,
        min(purchases.purchased_at) as at
    from core.purchases
    inner join touched_customers using (customer_id)
    where purchases.status = 'paid' and purchases.cancelled_by is null
    group by 1, 2
),

wanted as (
    select
        customer_id,
        day,
        at,
        cast(row_number() over later as integer) as number,
        first_value(day) over later as first_day,
        lead(day) over later as next_day,
        lead(at) over later as next_at
    from counted_days
    window later as (partition by customer_id order by day)
),

standing as (
    select customer_id, day, at, number, first_day, next_day, next_at
    from core.purchase_days
    inner join touched_customers using (customer_id)
),

different as materialized (
    select
        coalesce(wanted.customer_id, standing.customer_id) as customer_id,
        coalesce(wanted.day, standing.day) as day,
        wanted.at,
        wanted.number,
        wanted.first_day,
        wanted.next_day,
        wanted.next_at
    from wanted
    full join standing using (customer_id, day)
    where
        (wanted.number, wanted.first_day, wanted.at, wanted.next_day, wanted.next_at)
        is distinct from (standing.number, standing.first_day, standing.at, standing.next_day, standing.next_at)
),

removed as (
    delete from core.purchase_days
    using different
    where
        different.number is null
        and purchase_days.customer_id = different.customer_id
        and purchase_days.day = different.day
),

written as (
    insert into core.purchase_days (customer_id, day, number, first_day, at, next_day, next_at, expected_on)
    select
        customer_id,
        day,
        number,
        first_day,
        at,
        next_day,
        next_at,
        -- (a + b - 1) / b is a / b rounded up; a day has 86,400,000,000 microseconds
        cast(day as timestamp) + interval '1 microsecond' * (
            (cast(day - first_day as bigint) * 86400000000 + number - 2) / nullif(number - 1, 0)
        )
    from different
    where number is not null
    on conflict (customer_id, day) do update
    set
        number = excluded.number,
        first_day = excluded.first_day,
        at = excluded.at,
        next_day = excluded.next_day,
        next_at = excluded.next_at,
        expected_on = excluded.expected_on
),

remembered as (
    insert into core.purchase_days_changed (customer_id)
    select distinct customer_id from different
    on conflict (customer_id) do update
    set changed_at = excluded.changed_at
    returning customer_id
)

select count(*) as customers
from remembered
