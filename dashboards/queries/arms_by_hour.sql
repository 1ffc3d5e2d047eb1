/*
First goals of both arms by the hour since enrolment, over the people whose window has passed.

owner: evaluation
grain: one row per experiment version, arm and hour with a first goal
params:
  campaign: text - the campaign's name
  hours: int = 24 - window in hours since enrolment
returns:
  experiment_version: text - the experiment version
  arm: text - treated or holdout, as assigned
  hour: int - whole hours since enrolment
  conversions: numeric - people whose first goal fell in this hour
*/
with past as (
    select cell.experiment_version, cell.arm, cell.variant, cell.enrolled_on
    from evaluation.incremental_cells as cell
    cross join evaluation.data_as_of as measured
    where cell.campaign = :campaign
        and cell.enrolled_until + make_interval(hours => :hours) <= measured.as_of
)

select bucket.experiment_version, bucket.arm, bucket.hours as hour, sum(bucket.conversions) as conversions
from evaluation.incremental as bucket
inner join past
    on past.experiment_version = bucket.experiment_version
        and past.arm = bucket.arm
        and past.variant = bucket.variant
        and past.enrolled_on = bucket.enrolled_on
where bucket.campaign = :campaign
    and bucket.hours < :hours
group by bucket.experiment_version, bucket.arm, bucket.hours
having sum(bucket.conversions) > 0
order by bucket.experiment_version, bucket.arm, bucket.hours
