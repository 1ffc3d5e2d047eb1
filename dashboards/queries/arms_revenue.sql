/*
Revenue of both arms within a window since enrolment, over the people whose window has passed.

owner: evaluation
grain: one row per experiment version, arm and currency with a purchase
params:
  campaign: text - the campaign's name
  hours: int = 24 - window in hours since enrolment
  language: text = null - people who had this language when they were enrolled ('': not known); left out: everybody
  country: text = null - people who lived there when they were enrolled ('': not known); left out: everybody
returns:
  experiment_version: text - the experiment version
  arm: text - treated or holdout, as assigned
  currency: text - ISO 4217 code
  purchases: numeric - purchases
  revenue: numeric - sum over people of their revenue
  revenue_squares: numeric - sum of its squares
  revenue_by_pre: numeric - sum of its products with revenue before enrolment
*/
with people_of as (
    select experiment_version, arm, variant, enrolled_on, enrolled_until, people, pre_revenue, pre_revenue_squares
    from evaluation.incremental_cells
    where campaign = :campaign
        and :language is null
        and :country is null
    union all
    select experiment_version, arm, variant, enrolled_on, enrolled_until, people, pre_revenue, pre_revenue_squares
    from evaluation.incremental_cells_by_place
    where campaign = :campaign
        and (:language is not null or :country is not null)
        and language = coalesce(:language, language)
        and country = coalesce(:country, country)
),

followed as (
    select experiment_version, arm, variant, enrolled_on, currency, purchases, revenue, revenue_squares, revenue_by_pre
    from evaluation.incremental
    where campaign = :campaign
        and hours < :hours
        and :language is null
        and :country is null
    union all
    select experiment_version, arm, variant, enrolled_on, currency, purchases, revenue, revenue_squares, revenue_by_pre
    from evaluation.incremental_by_place
    where campaign = :campaign
        and hours < :hours
        and (:language is not null or :country is not null)
        and language = coalesce(:language, language)
        and country = coalesce(:country, country)
),

past as (
    select distinct cell.experiment_version, cell.arm, cell.variant, cell.enrolled_on
    from people_of as cell
    cross join evaluation.data_as_of as measured
    where cell.enrolled_until + make_interval(hours => :hours) <= measured.as_of
)

select
    bucket.experiment_version,
    bucket.arm,
    bucket.currency,
    sum(bucket.purchases) as purchases,
    sum(bucket.revenue) as revenue,
    sum(bucket.revenue_squares) as revenue_squares,
    sum(bucket.revenue_by_pre) as revenue_by_pre
from followed as bucket
inner join past
    on past.experiment_version = bucket.experiment_version
        and past.arm = bucket.arm
        and past.variant = bucket.variant
        and past.enrolled_on = bucket.enrolled_on
group by bucket.experiment_version, bucket.arm, bucket.currency
having sum(bucket.purchases) > 0
order by bucket.experiment_version, bucket.arm, bucket.currency
