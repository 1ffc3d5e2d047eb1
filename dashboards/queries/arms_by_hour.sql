/*
First goals of both arms by the hour since enrolment, over the people whose window has passed.

owner: evaluation
grain: one row per experiment version, arm and hour with a first goal
params:
  campaign: text - the campaign's name
  hours: int = 24 - window in hours since enrolment
  language: text = null - people who had this language when they were enrolled ('': not known); left out: everybody
  country: text = null - people who lived there when they were enrolled ('': not known); left out: everybody
returns:
  experiment_version: text - the experiment version
  arm: text - treated or holdout, as assigned
  hour: int - whole hours since enrolment
  conversions: numeric - people whose first goal fell in this hour
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
    select experiment_version, arm, variant, enrolled_on, hours, conversions
    from evaluation.incremental
    where campaign = :campaign
        and hours < :hours
        and :language is null
        and :country is null
    union all
    select experiment_version, arm, variant, enrolled_on, hours, conversions
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

select bucket.experiment_version, bucket.arm, bucket.hours as hour, sum(bucket.conversions) as conversions
from followed as bucket
inner join past
    on past.experiment_version = bucket.experiment_version
        and past.arm = bucket.arm
        and past.variant = bucket.variant
        and past.enrolled_on = bucket.enrolled_on
group by bucket.experiment_version, bucket.arm, bucket.hours
having sum(bucket.conversions) > 0
order by bucket.experiment_version, bucket.arm, bucket.hours
