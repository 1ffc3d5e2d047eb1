/*
How customers buy, month by month: who bought, who bought again, how long they took, who is late.

Refunded and cancelled purchases do not count, and several purchases of a person on one day are one purchase day. Bought
again means in a later month; it is known once everybody has had so many days since their last purchase in the month.
Late is meant as in the segment of lapsing customers: longer since the last purchase day than the person's own average,
plus a margin.

owner: evaluation
grain: one row per month, oldest first
params:
  within: int = 90 - days in which somebody has bought again
  months: int = 24 - how many months, counted from the newest
returns:
  month: date unique - first day of the month, in the business time zone
  is_whole: boolean - whether the month was over
  buyers: bigint - people with a purchase in the month
  first_buyers: bigint - of them, people of whom no earlier purchase is known
  bought_again: bigint nullable - of the buyers, those who bought again within so many days; null: not known yet
  lower_quartile: int nullable - a quarter of purchase days came so many days after the one before, or fewer
  median: int nullable - half of them did
  upper_quartile: int nullable - three quarters of them did
  with_rhythm: bigint - people with two purchase days or more at the end of the month, who have a rhythm
  late: bigint - of them, people who were late by it at that moment
  became_late: bigint - people who became late in the month
*/
with shown as (
    select
        counted.*,
        cast((measured.as_of + interval '1 microsecond') at time zone measured.business_zone as date) as not_over_on,
        cast(counted.month + interval '1 month' as date) as next_month
    from evaluation.buying_months as counted
    cross join evaluation.data_as_of as measured
    order by counted.month desc
    limit :months
),

again as (
    select month, cast(sum(people) as bigint) as people
    from evaluation.bought_again
    where days <= :within
    group by month
),

so_far as (
    select
        month,
        days,
        sum(purchase_days) over (partition by month order by days) as up_to,
        sum(purchase_days) over (partition by month) as total
    from evaluation.buying_gaps
    where month >= (select min(month) from shown)
),

quartiles as (
    select
        month,
        min(days) filter (where 4 * up_to >= total) as lower_quartile,
        min(days) filter (where 2 * up_to >= total) as median,
        min(days) filter (where 4 * up_to >= 3 * total) as upper_quartile
    from so_far
    group by month
)

select
    shown.month,
    shown.next_month <= shown.not_over_on as is_whole,
    shown.buyers,
    shown.first_buyers,
    case when shown.next_month + :within <= shown.not_over_on then coalesce(again.people, 0) end as bought_again,
    quartiles.lower_quartile,
    quartiles.median,
    quartiles.upper_quartile,
    shown.with_rhythm,
    shown.late,
    shown.became_late
from shown
left join again using (month)
left join quartiles using (month)
order by shown.month
