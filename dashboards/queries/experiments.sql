/*
Both arms of every holdout a campaign ever had: planned share, dates, people past a window, goals in it.

Versions that are over are taken from what was kept of them where the ledger has forgotten some of their people since.

owner: evaluation
grain: one row per experiment version and arm, newest version first
params:
  campaign: text - the campaign's name
  hours: int = 24 - window in hours since enrolment
returns:
  experiment_version: text - the experiment version
  arm: text - treated or holdout, as assigned
  holdout: double precision nullable - planned share of people held out; null: never noted
  first_enrolled_on: date - first enrolment day of the version
  last_enrolled_on: date - its last one so far
  enrolled: numeric - people enrolled
  people: numeric - of them, people whose window has passed
  conversions: numeric - of those, people with the goal within the window
*/
with cells as (
    select
        cell.experiment_version,
        cell.arm,
        cell.variant,
        cell.enrolled_on,
        cell.people,
        cell.enrolled_until + make_interval(hours => :hours) <= measured.as_of as is_past
    from evaluation.incremental_cells as cell
    cross join evaluation.data_as_of as measured
    where cell.campaign = :campaign
),

goals as (
    select experiment_version, arm, variant, enrolled_on, sum(conversions) as conversions
    from evaluation.incremental
    where campaign = :campaign
        and hours < :hours
    group by experiment_version, arm, variant, enrolled_on
),

measured as (
    select
        cells.experiment_version,
        cells.arm,
        min(cells.enrolled_on) as first_enrolled_on,
        max(cells.enrolled_on) as last_enrolled_on,
        sum(cells.people) as enrolled,
        coalesce(sum(cells.people) filter (where cells.is_past), 0) as people,
        coalesce(sum(goals.conversions) filter (where cells.is_past), 0) as conversions
    from cells
    left join goals using (experiment_version, arm, variant, enrolled_on)
    group by cells.experiment_version, cells.arm
),

kept as (
    select
        experiment_version,
        arm,
        first_enrolled_on,
        last_enrolled_on,
        people,
        (
            select coalesce(sum(since.conversions), 0)
            from unnest(past_arms.conversions) with ordinality as since (conversions, hour)
            where since.hour <= :hours
        ) as conversions
    from evaluation.past_arms
    where campaign = :campaign
),

both_sources as (
    select experiment_version, arm, first_enrolled_on, last_enrolled_on, enrolled, people, conversions, false as is_kept
    from measured
    union all
    select experiment_version, arm, first_enrolled_on, last_enrolled_on, people as enrolled, people, conversions, true
    from kept
),

compared as (
    select
        *,
        coalesce(sum(enrolled) filter (where is_kept) over version, 0)
        > coalesce(sum(enrolled) filter (where not is_kept) over version, 0) as is_kept_larger
    from both_sources
    window version as (partition by experiment_version)
)

select
    compared.experiment_version,
    compared.arm,
    planned.holdout,
    min(compared.first_enrolled_on) over (partition by compared.experiment_version) as first_enrolled_on,
    max(compared.last_enrolled_on) over (partition by compared.experiment_version) as last_enrolled_on,
    cast(compared.enrolled as numeric) as enrolled,
    cast(compared.people as numeric) as people,
    cast(compared.conversions as numeric) as conversions
from compared
left join evaluation.experiments as planned
    on planned.campaign = :campaign
        and planned.experiment_version = compared.experiment_version
where compared.is_kept = compared.is_kept_larger
order by first_enrolled_on desc, compared.experiment_version, compared.arm desc
