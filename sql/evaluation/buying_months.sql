/*
Count the buyers of every month, and who was late by their own rhythm at its end.

A person's last purchase day of a month is followed by one in another month, or by none: so each buyer of a month either
is new or bought again with the purchase before in an earlier one.

owner: engineering
grain: one row per month from the first purchase on
params:
  as_of: timestamptz - the moment that is measured
*/
insert into evaluation.buying_months (month, until, buyers, first_buyers, with_rhythm, late, became_late)
with clock as (
    select cast(cast(:as_of as timestamptz) at time zone business_zone as date) as today
    from campaign.database
),

months as (
    select
        cast(begun.month as date) as month,
        least(cast(begun.month + interval '1 month' as date) - 1, clock.today) as until
    from clock
    cross join lateral generate_series(
        (select min(cast(month as timestamp)) from measured_buying), cast(clock.today as timestamp), '1 month'
    ) as begun (month)
),

happened as (
    select
        month,
        sum(people) filter (where what = 'first' or (what = 'again' and since_month < month)) as buyers,
        sum(people) filter (where what = 'first') as first_buyers,
        sum(people) filter (where what = 'second') as with_rhythm,
        sum(case what when 'late' then people when 'over' then - people end) as late,
        sum(people) filter (where what = 'late') as became_late
    from measured_buying
    group by month
)

select
    months.month,
    months.until,
    coalesce(happened.buyers, 0),
    coalesce(happened.first_buyers, 0),
    coalesce(sum(happened.with_rhythm) over so_far, 0),
    coalesce(sum(happened.late) over so_far, 0),
    coalesce(happened.became_late, 0)
from months
left join happened on happened.month = months.month
window so_far as (order by months.month)
