/*
People of both arms of every experiment version: enrolled, past a window since enrolment, and with the goal in it.

A person counts for a window only when the whole enrolment day plus the window has passed; versions are never pooled.

owner: evaluation
grain: one row per experiment version and arm
params:
  campaign: text - the campaign's name
  hours: int = 24 - window in hours since enrolment
  language: text = null - people who had this language when they were enrolled ('': not known); left out: everybody
  country: text = null - people who lived there when they were enrolled ('': not known); left out: everybody
returns:
  experiment_version: text - the experiment version
  arm: text - treated or holdout, as assigned
  first_enrolled_on: date - first enrolment day of the version
  holdout: double precision nullable - planned share of people held out; null: never noted
  enrolled: numeric - people enrolled
  people: numeric - of them, people whose window has passed
  conversions: numeric - of those, people with the goal within the window
  pre_revenue: numeric - sum over those people of revenue before enrolment
  pre_revenue_squares: numeric - sum of its squares
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
    select experiment_version, arm, variant, enrolled_on, conversions
    from evaluation.incremental
    where campaign = :campaign
        and hours < :hours
        and :language is null
        and :country is null
    union all
    select experiment_version, arm, variant, enrolled_on, conversions
    from evaluation.incremental_by_place
    where campaign = :campaign
        and hours < :hours
        and (:language is not null or :country is not null)
        and language = coalesce(:language, language)
        and country = coalesce(:country, country)
),

cells as (
    select
        cell.experiment_version,
        cell.arm,
        cell.variant,
        cell.enrolled_on,
        sum(cell.people) as people,
        sum(cell.pre_revenue) as pre_revenue,
        sum(cell.pre_revenue_squares) as pre_revenue_squares,
        cell.enrolled_until + make_interval(hours => :hours) <= measured.as_of as is_past
    from people_of as cell
    cross join evaluation.data_as_of as measured
    group by cell.experiment_version, cell.arm, cell.variant, cell.enrolled_on, cell.enrolled_until, measured.as_of
),

goals as (
    select experiment_version, arm, variant, enrolled_on, sum(conversions) as conversions
    from followed
    group by experiment_version, arm, variant, enrolled_on
)

select
    cells.experiment_version,
    cells.arm,
    min(min(cells.enrolled_on)) over (partition by cells.experiment_version) as first_enrolled_on,
    planned.holdout,
    sum(cells.people) as enrolled,
    coalesce(sum(cells.people) filter (where cells.is_past), 0) as people,
    coalesce(sum(goals.conversions) filter (where cells.is_past), 0) as conversions,
    coalesce(sum(cells.pre_revenue) filter (where cells.is_past), 0) as pre_revenue,
    coalesce(sum(cells.pre_revenue_squares) filter (where cells.is_past), 0) as pre_revenue_squares
from cells
left join goals
    on goals.experiment_version = cells.experiment_version
        and goals.arm = cells.arm
        and goals.variant = cells.variant
        and goals.enrolled_on = cells.enrolled_on
left join evaluation.experiments as planned
    on planned.campaign = :campaign
        and planned.experiment_version = cells.experiment_version
group by cells.experiment_version, cells.arm, planned.holdout
order by first_enrolled_on desc, cells.experiment_version, cells.arm desc
