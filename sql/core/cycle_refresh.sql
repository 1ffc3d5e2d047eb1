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

numbered as (
    select
        customer_id,
        day,
        at,
        row_number() over later as number,
        first_value(day) over later as first_day,
        lead(day) over later as next_day,
        lead(at) over later as next_at
    from counted_days
    window later as (partition by customer_id order by day)
),

wanted as materialized (
    select
        customer_id,
        day,
        cast(number as integer) as number,
        first_day,
        at,
        next_day,
        next_at,
        -- (a + b - 1) / b is a / b rounded up; a day has 86,400,000,000 microseconds
        cast(day as timestamp) + interval '1 microsecond' * (
            (cast(day - first_day as bigint) * 86400000000 + number - 2) / nullif(number - 1, 0)
        ) as expected_on
    from numbered
),

standing as materialized (
    select purchase_days.*
    from core.purchase_days
    inner join touched_customers using (customer_id)
),

different as (
    select wanted.*
    from wanted
    left join standing using (customer_id, day)
    where
        standing.customer_id is null
        or (wanted.number, wanted.first_day, wanted.at, wanted.next_day, wanted.next_at)
        is distinct from (standing.number, standing.first_day, standing.at, standing.next_day, standing.next_at)
),

vanished as materialized (
    select standing.customer_id, standing.day
    from standing
    left join wanted using (customer_id, day)
    where wanted.customer_id is null
),

removed as (
    delete from core.purchase_days
    using vanished
    where purchase_days.customer_id = vanished.customer_id and purchase_days.day = vanished.day
    returning purchase_days.customer_id
),

written as (
    insert into core.purchase_days (customer_id, day, number, first_day, at, next_day, next_at, expected_on)
    select customer_id, day, number, first_day, at, next_day, next_at, expected_on
    from different
    on conflict (customer_id, day) do update
    set
        number = excluded.number,
        first_day = excluded.first_day,
        at = excluded.at,
        next_day = excluded.next_day,
        next_at = excluded.next_at,
        expected_on = excluded.expected_on
    returning customer_id
),

remembered as (
    insert into core.purchase_days_changed (customer_id)
    select customer_id from removed
    union
    select customer_id from written
    on conflict (customer_id) do update
    set changed_at = excluded.changed_at
    returning customer_id
)

select count(*) as customers
from remembered
