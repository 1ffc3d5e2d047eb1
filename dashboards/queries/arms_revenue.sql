/*
Revenue of both arms within a window since enrolment, over the people whose window has passed.

owner: evaluation
grain: one row per experiment version, arm and currency with a purchase
params:
  campaign: text - the campaign's name
  hours: int = 24 - window in hours since enrolment
returns:
  experiment_version: text - the experiment version
  arm: text - treated or holdout, as assigned
  currency: text - ISO 4217 code
  purchases: numeric - purchases
  revenue: numeric - sum over people of their revenue
  revenue_squares: numeric - sum of its squares
  revenue_by_pre: numeric - sum of its products with revenue before enrolment
*/
with past as (
    select cell.experiment_version, cell.arm, cell.variant, cell.enrolled_on
    from evaluation.incremental_cells as cell
    cross join evaluation.data_as_of as measured
    where cell.campaign = :campaign
        and cell.enrolled_until + make_interval(hours => :hours) <= measured.as_of
)

select
    bucket.experiment_version,
    bucket.arm,
    bucket.currency,
    sum(bucket.purchases) as purchases,
    sum(bucket.revenue) as revenue,
    sum(bucket.revenue_squares) as revenue_squares,
    sum(bucket.revenue_by_pre) as revenue_by_pre
from evaluation.incremental as bucket
inner join past
    on past.experiment_version = bucket.experiment_version
        and past.arm = bucket.arm
        and past.variant = bucket.variant
        and past.enrolled_on = bucket.enrolled_on
where bucket.campaign = :campaign
    and bucket.hours < :hours
group by bucket.experiment_version, bucket.arm, bucket.currency
having sum(bucket.purchases) > 0
order by bucket.experiment_version, bucket.arm, bucket.currency
