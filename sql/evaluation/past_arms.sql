/*
Keep what came of every experiment version whose people have all had the longest window.

Once the ledger has forgotten people, a version is kept as it was while more of them were there.

owner: engineering
grain: one row per campaign, experiment version and arm
params:
  as_of: timestamptz - the moment that is measured
  max_window_hours: int - longest window
*/
insert into evaluation.past_arms as known (
    campaign, experiment_version, arm, first_enrolled_on, last_enrolled_on, people, conversions
)
with settled as (
    select campaign, experiment_version, sum(people) as people
    from evaluation.incremental_cells
    group by campaign, experiment_version
    having max(enrolled_until) + make_interval(hours => :max_window_hours) <= cast(:as_of as timestamptz)
),

kept as (
    select campaign, experiment_version, sum(people) as people
    from evaluation.past_arms
    group by campaign, experiment_version
),

whole as (
    select settled.campaign, settled.experiment_version
    from settled
    cross join campaign.database as memory
    left join kept using (campaign, experiment_version)
    where memory.remembers_since is null or settled.people >= coalesce(kept.people, 0)
),

arms as (
    select
        campaign, experiment_version, arm, min(enrolled_on) as first_enrolled_on, max(enrolled_on) as last_enrolled_on,
        sum(people) as people
    from evaluation.incremental_cells
    inner join whole using (campaign, experiment_version)
    group by campaign, experiment_version, arm
),

goals as (
    select campaign, experiment_version, arm, hours, sum(conversions) as conversions
    from evaluation.incremental
    inner join whole using (campaign, experiment_version)
    group by campaign, experiment_version, arm, hours
)

select
    arms.campaign,
    arms.experiment_version,
    arms.arm,
    arms.first_enrolled_on,
    arms.last_enrolled_on,
    arms.people,
    array_agg(cast(coalesce(goals.conversions, 0) as bigint) order by since.hours)
from arms
cross join generate_series(0, :max_window_hours - 1) as since (hours)
left join goals
    on goals.campaign = arms.campaign
        and goals.experiment_version = arms.experiment_version
        and goals.arm = arms.arm
        and goals.hours = since.hours
group by
    arms.campaign, arms.experiment_version, arms.arm, arms.first_enrolled_on, arms.last_enrolled_on, arms.people
on conflict (campaign, experiment_version, arm) do update
set
    first_enrolled_on = excluded.first_enrolled_on,
    last_enrolled_on = excluded.last_enrolled_on,
    people = excluded.people,
    conversions = excluded.conversions
