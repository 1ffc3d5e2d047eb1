/*
Write everybody's purchase days into a table that holds none yet: the first load.

The same days as core/cycle_refresh gives, without comparing them with what is there.

owner: engineering
grain: one row per customer and purchase day
*/
with counted as (
    select
        customer_id,
        purchased_at as at,
        cast(purchased_at at time zone (select business_zone from campaign.database) as date) as day
    from core.purchases
    where status = 'paid' and cancelled_by is null
),

-- sorted once, for the first purchase of a day and for all that follows
counted_days as (
    select distinct on (customer_id, day)
        customer_id,
        day,
        at
    from counted
    order by customer_id, day, at
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
)

insert into core.purchase_days (customer_id, day, number, first_day, at, next_day, next_at, expected_on)
select
    customer_id,
    day,
    cast(number as integer),
    first_day,
    at,
    next_day,
    next_at,
    -- (a + b - 1) / b is a / b rounded up; a day has 86,400,000,000 microseconds
    cast(day as timestamp) + interval '1 microsecond' * (
        (cast(day - first_day as bigint) * 86400000000 + number - 2) / nullif(number - 1, 0)
    )
from numbered
-- people side by side: a refresh of one of them reads one page
order by customer_id, day
