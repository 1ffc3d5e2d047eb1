/*
A day's purchases: nine of ten by people who bought in the last 90 days, one of ten by new customers.

owner: engineering
grain: one row per purchase
params:
  day: date - the day
  purchases: int - how many
*/
select
    'd' || to_char(cast(:day as date), 'YYYYMMDD') || lpad(cast(row_number() over (order by shuffle) as text), 7, '0')
        as order_id,
    customer_id,
    cast(:day as timestamp) at time zone 'UTC' + shuffle * interval '1 day' as purchased_at,
    round(cast(5 + 95 * shuffle as numeric), 2) as amount
from (
    (
        select customer_id, random() as shuffle
        from core.purchases
        where
            purchased_at >= cast(:day as timestamp) at time zone 'UTC' - interval '90 days'
            and purchased_at < cast(:day as timestamp) at time zone 'UTC' - interval '1 day'
        order by shuffle
        limit cast(:purchases as integer) * 9 / 10
    )
    union all
    select 'n' || to_char(cast(:day as date), 'YYYYMMDD') || lpad(cast(number as text), 7, '0'), random()
    from generate_series(1, cast(:purchases as integer) / 10) as number
) as buyers
order by shuffle
