/*
Bring the purchase days of the touched customers to what their purchases say now (A15).

Reads the temporary table touched_customers (customer_id, since). Days are recomputed from the purchases and never
incremented, so late rows, refunds, corrections and repeats need no rule of their own; those before any purchase that
changed stand, and the last of them says how many there were. Only rows that differ are written, and whose days changed
is remembered. What they say about how customers buy (core.buying) is taken away and added in the sums.

owner: engineering
grain: one row
returns:
  customers: bigint - people whose purchase days changed
*/
with touched as materialized (
    select
        touched_customers.customer_id,
        place.zone,
        -- a day earlier: a clock put back at midnight gives a later moment an earlier day
        cast(touched_customers.since at time zone place.zone as date) - 1 as from_day
    from touched_customers
    cross join (select business_zone as zone from campaign.database limit 1) as place
    order by touched_customers.customer_id
),

days_before as materialized (
    select
        touched.customer_id,
        last_day.*
    from touched
    cross join lateral (
        select
            purchase_days.ctid as place,
            purchase_days.day,
            purchase_days.at,
            purchase_days.number,
            purchase_days.first_day,
            purchase_days.next_day,
            purchase_days.next_at,
            purchase_days.expected_on
        from core.purchase_days
        where purchase_days.customer_id = touched.customer_id and purchase_days.day < touched.from_day
        order by purchase_days.day desc
        limit 1
    ) as last_day
),

standing as (
    select customer_id, place, day, at, number, first_day, next_day, next_at, expected_on
    from days_before
    union all
    select
        purchase_days.customer_id,
        purchase_days.ctid,
        purchase_days.day,
        purchase_days.at,
        purchase_days.number,
        purchase_days.first_day,
        purchase_days.next_day,
        purchase_days.next_at,
        purchase_days.expected_on
    from touched
    left join days_before using (customer_id)
    inner join core.purchase_days
        on touched.customer_id = purchase_days.customer_id and touched.from_day <= purchase_days.day
    -- a last day that no other follows says that there is nothing to look for
    where days_before.customer_id is null or days_before.next_day is not null
),

counted_days as (
    select customer_id, day, at, number, first_day
    from days_before
    union all
    select
        purchases.customer_id,
        cast(purchases.purchased_at at time zone touched.zone as date) as day,
        min(purchases.purchased_at),
        null,
        null
    from touched
    inner join core.purchases
        on
            touched.customer_id = purchases.customer_id
            -- a bound for the index only: where a day begins is not the same in every zone
            and purchases.purchased_at >= cast(touched.from_day - 1 as timestamp) at time zone touched.zone
    where
        purchases.status = 'paid'
        and purchases.cancelled_by is null
        and cast(purchases.purchased_at at time zone touched.zone as date) >= touched.from_day
    group by 1, 2
),

wanted as (
    select
        customer_id,
        day,
        at,
        cast(coalesce(first_value(number) over later, 1) + row_number() over later - 1 as integer) as number,
        coalesce(first_value(first_day) over later, first_value(day) over later) as first_day,
        lead(day) over later as next_day,
        lead(at) over later as next_at
    from counted_days
    window later as (partition by customer_id order by day)
),

different as materialized (
    select
        standing.place,
        coalesce(wanted.customer_id, standing.customer_id) as customer_id,
        coalesce(wanted.day, standing.day) as day,
        wanted.at,
        wanted.number,
        wanted.first_day,
        wanted.next_day,
        wanted.next_at,
        -- (a + b - 1) / b is a / b rounded up; a day has 86,400,000,000 microseconds
        cast(wanted.day as timestamp) + interval '1 microsecond' * (
            (cast(wanted.day - wanted.first_day as bigint) * 86400000000 + wanted.number - 2)
            / nullif(wanted.number - 1, 0)
        ) as expected_on,
        standing.number as was_number,
        standing.next_day as was_next_day,
        standing.expected_on as was_expected_on
    from wanted
    full join standing using (customer_id, day)
    where
        (wanted.number, wanted.first_day, wanted.at, wanted.next_day, wanted.next_at)
        is distinct from (standing.number, standing.first_day, standing.at, standing.next_day, standing.next_at)
),

removed as (
    delete from core.purchase_days
    using different
    where purchase_days.ctid = different.place and different.number is null
),

changed as (
    update core.purchase_days
    set
        number = different.number,
        first_day = different.first_day,
        at = different.at,
        next_day = different.next_day,
        next_at = different.next_at,
        expected_on = different.expected_on
    from different
    where purchase_days.ctid = different.place and different.number is not null
),

added as (
    insert into core.purchase_days (customer_id, day, number, first_day, at, next_day, next_at, expected_on)
    select customer_id, day, number, first_day, at, next_day, next_at, expected_on
    from different
    where place is null
),

-- The same rows as they are now, and as they were, in the sums of all of them.
summed as (
    select
        found.what,
        found.happened_on,
        found.days,
        sum(sides.people) as people
    from core.buying_filled as filled
    cross join different
    cross join
        lateral (
            values
            (different.number, different.next_day, different.expected_on, 1),
            (different.was_number, different.was_next_day, different.was_expected_on, -1)
        ) as sides (number, next_day, expected_on, people)
    cross join
        lateral core.buying_of(
            different.day, sides.number, sides.next_day, sides.expected_on, filled.margin_days
        ) as found
    where sides.number is not null
    group by found.what, found.happened_on, found.days
    having sum(sides.people) <> 0
),

summed_up as (
    insert into core.buying (what, happened_on, days, people)
    select what, happened_on, days, people
    from summed
    on conflict (what, happened_on, days) do update
    set people = buying.people + excluded.people
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
