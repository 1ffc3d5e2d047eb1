/*
Lay out month by month what customers did, up to the moment that is measured (B12).

The sums by day are cut at the end of that day; of the day itself, what came after the moment is taken away again.

owner: engineering
grain: one row per kind, month, month of the purchase before, and days between the two
params:
  as_of: timestamptz - the moment that is measured
*/
create temporary table measured_buying on commit drop as
with clock as (
    select
        cast(:as_of as timestamptz) as moment,
        cast(cast(:as_of as timestamptz) at time zone business_zone as date) as today
    from campaign.database
),

buyers_to_come as (
    select distinct purchases.customer_id
    from clock
    inner join core.purchases
        on
            purchases.purchased_at > clock.moment
            -- longer than any day, also one on which clocks go back
            and purchases.purchased_at < clock.moment + interval '26 hours'
),

to_come as (
    select
        found.what,
        found.happened_on,
        found.days
    from clock
    cross join core.buying_filled as filled
    cross join buyers_to_come
    inner join core.purchase_days as standing on standing.customer_id = buyers_to_come.customer_id
    cross join
        lateral core.buying_of(
            standing.day, standing.number, standing.next_day, standing.expected_on, filled.margin_days
        ) as found
    where
        found.happened_on <= clock.today
        and case found.what
            when 'first' then standing.at > clock.moment
            when 'late' then false
            else standing.next_at > clock.moment
        end
),

counted as (
    select
        what,
        happened_on,
        days,
        people
    from core.buying
    union all
    select
        what,
        happened_on,
        days,
        -1
    from to_come
)

select
    counted.what,
    cast(date_trunc('month', cast(counted.happened_on as timestamp)) as date) as month,
    cast(date_trunc('month', cast(counted.happened_on - counted.days as timestamp)) as date) as since_month,
    counted.days,
    sum(counted.people) as people
from counted
cross join clock
where counted.happened_on <= clock.today
group by 1, 2, 3, 4
having sum(counted.people) <> 0
