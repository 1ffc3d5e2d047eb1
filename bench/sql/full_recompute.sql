/*
Who became late on the day of as_of, worked out from every purchase: what a pipeline without kept purchase days does.

owner: engineering
grain: one row per customer
params:
  as_of: timestamptz - the moment asked about
*/
select
    customer_id,
    max(day) as last_day,
    count(*) as purchase_days
from (
    select distinct
        customer_id,
        cast(purchased_at at time zone 'UTC' as date) as day
    from core.purchases
    where status = 'paid' and cancelled_by is null and purchased_at <= cast(:as_of as timestamptz)
) as days
group by customer_id
having
    count(*) >= 2
    and cast(cast(:as_of as timestamptz) at time zone 'UTC' as date) - max(day)
    >= cast(max(day) - min(day) as numeric) / (count(*) - 1) + 8
    and cast(cast(:as_of as timestamptz) at time zone 'UTC' as date) - 1 - max(day)
    < cast(max(day) - min(day) as numeric) / (count(*) - 1) + 8
