/*
Repeat buyers who are late by their own rhythm.

A purchase day is a day, in the business time zone, with a purchase that was neither refunded nor cancelled. A
customer's usual gap is the average number of days between their purchase days so far; they are late from the day
on which the last purchase lies at least the usual gap plus the margin back. A 60-day buyer with a margin of 8 is in
on day 68 and not on day 67. Averages are compared exactly; only what is shown is rounded.

owner: retention
grain: one row per customer who is late at as_of
params:
  as_of: timestamptz - the moment the question is asked; purchases after it have not happened yet
  time_zone: text - where purchase days begin: the business time zone
  margin_days: numeric = 8 - days beyond the usual gap before someone counts as late, 0 or more (less counts as 0)
  min_purchase_days: int = 2 - purchase days needed to have a rhythm, at least 2
  max_days_late: numeric = null - leave out who is more than this many days beyond the usual gap
  became_late_after: timestamptz = null - only who became late after this moment
returns:
  customer_id: text unique - who
  anchor_at: timestamptz - start of the day on which they became late
  episode: text - their last purchase day: a new purchase begins a new occasion
  days_since_last: int - days since the last purchase day
  average_gap_days: numeric - their usual gap in days
  days_late: numeric - days beyond the usual gap
  purchase_days: int - how many purchase days they have
  last_purchase_on: date - the last purchase day
*/
with asked as not materialized (
    -- days are compared with days: the day of as_of, and the day after which people must have become late
    select
        cast(:as_of as timestamptz) as moment,
        cast(cast(:as_of as timestamptz) at time zone :time_zone as date) as today,
        cast(cast(:became_late_after as timestamptz) at time zone :time_zone as date) as day_before,
        greatest(cast(:margin_days as numeric), 0) * interval '1 day' as margin,
        cast(:max_days_late as numeric) * interval '1 day' as longest
),

last_days as (
    -- the purchase day in force: the last one at the moment asked about; expected_on is when its average says
    -- that the next purchase was due, a day with its fraction
    select
        days.customer_id,
        days.day,
        days.number,
        days.first_day,
        days.expected_on,
        asked.today,
        cast(days.expected_on + asked.margin + interval '1 day' - interval '1 microsecond' as date) as late_on
    from facts.purchase_days as days
    cross join asked
    where
        days.at <= asked.moment
        and (days.next_day is null or (days.next_day >= days.expected_on and days.next_at > asked.moment))
        and days.expected_on <= asked.today - asked.margin
        and days.expected_on > coalesce(asked.day_before - asked.margin, '-infinity')
        and days.expected_on >= coalesce(asked.today - asked.longest, '-infinity')
        and days.number >= :min_purchase_days
)

select
    customer_id,
    -- the second form is for clocks that repeat the first hour of a day: one step past the end of the day before
    least(
        cast(late_on as timestamp) at time zone :time_zone,
        (cast(late_on as timestamp) - interval '1 microsecond') at time zone :time_zone + interval '1 microsecond'
    ) as anchor_at,
    to_char(day, 'YYYY-MM-DD') as episode,
    today - day as days_since_last,
    trim_scale(round(cast(day - first_day as numeric) / (number - 1), 6)) as average_gap_days,
    trim_scale(round(today - day - cast(day - first_day as numeric) / (number - 1), 6)) as days_late,
    number as purchase_days,
    day as last_purchase_on
from last_days
