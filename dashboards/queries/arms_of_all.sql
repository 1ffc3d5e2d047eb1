/*
People of both arms of every campaign's newest experiment version: enrolled, past a window, and with the goal in it.

A person counts for a window only when the whole enrolment day plus the window has passed.

owner: evaluation
grain: one row per campaign and arm
params:
  hours: int = 24 - window in hours since enrolment
returns:
  campaign: text - the campaign's name
  experiment_version: text - its newest experiment version
  arm: text - treated or holdout, as assigned
  first_enrolled_on: date - first enrolment day of the version
  holdout: double precision nullable - planned share of people held out; null: never noted
  is_anyone_reached: boolean - whether anybody of the campaign has been reached
  enrolled: numeric - people enrolled
  people: numeric - of them, people whose window has passed
  conversions: numeric - of those, people with the goal within the window
*/
with versions as (
    select campaign, experiment_version, min(enrolled_on) as first_enrolled_on
    from evaluation.incremental_cells
    group by campaign, experiment_version
),

newest as (
    select distinct on (campaign) campaign, experiment_version, first_enrolled_on
    from versions
    order by campaign, first_enrolled_on desc, experiment_version
),

cells as (
    select
        cell.campaign,
        cell.experiment_version,
        newest.first_enrolled_on,
        cell.arm,
        cell.variant,
        cell.enrolled_on,
        cell.people,
        cell.enrolled_until + make_interval(hours => :hours) <= measured.as_of as is_past
    from evaluation.incremental_cells as cell
    cross join evaluation.data_as_of as measured
    inner join newest
        on newest.campaign = cell.campaign
            and newest.experiment_version = cell.experiment_version
),

goals as (
    select campaign, experiment_version, arm, variant, enrolled_on, sum(conversions) as conversions
    from evaluation.incremental
    where hours < :hours
    group by campaign, experiment_version, arm, variant, enrolled_on
)

select
    cells.campaign,
    cells.experiment_version,
    cells.arm,
    cells.first_enrolled_on,
    planned.holdout,
    exists (
        select 1
        from evaluation.reached_people as reached
        where reached.campaign = cells.campaign and reached.grain = 'campaign' and reached.people > 0
    ) as is_anyone_reached,
    sum(cells.people) as enrolled,
    coalesce(sum(cells.people) filter (where cells.is_past), 0) as people,
    coalesce(sum(goals.conversions) filter (where cells.is_past), 0) as conversions
from cells
left join goals
    on goals.campaign = cells.campaign
        and goals.experiment_version = cells.experiment_version
        and goals.arm = cells.arm
        and goals.variant = cells.variant
        and goals.enrolled_on = cells.enrolled_on
left join evaluation.experiments as planned
    on planned.campaign = cells.campaign
        and planned.experiment_version = cells.experiment_version
group by cells.campaign, cells.experiment_version, cells.arm, cells.first_enrolled_on, planned.holdout
order by cells.campaign, cells.arm desc
