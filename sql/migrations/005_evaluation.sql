-- What came of it: aggregates for the dashboard and any BI tool, no row about one person.
--
-- Two clocks, never mixed. *Attributed* figures count hours since the last accepted send before the purchase;
-- *incremental* figures count hours since enrolment, in both arms, by assigned arm. A bucket `hours` = h holds what
-- fell in [h, h + 1) hours, so a window of W whole hours is the sum of the buckets h < W.
--
-- In both, with a = amount of a purchase, x = revenue of the same unit and currency earlier since the anchor and
-- p = its revenue before enrolment, sums over buckets give: revenue sum(a), its squares sum(a*a + 2*a*x), and the
-- product with the pre-period sum(a*p). `conversions` counts a unit once, in the hour of its first goal and in that
-- purchase's currency; XXX (ISO 4217: no currency) when the goal is an event.

create schema evaluation;

-- One row: what the tables below were measured at.
create table evaluation.data_as_of (
    one boolean primary key default true check (one),
    as_of timestamptz not null,
    business_zone text not null,
    max_window_hours integer not null,            -- longest window the buckets answer
    max_window_hours_by_place integer not null    -- the same under a language or country filter
);

-- Accepted sends: the denominators of the attributed figures. p is the person's revenue before enrolment.
create table evaluation.attributed_cells (
    campaign text not null,
    step text not null,
    channel text not null,
    variant text not null,
    sent_on date not null,                        -- business zone
    sends bigint not null,
    pre_revenue numeric not null,                 -- sum of p
    pre_revenue_squares numeric not null,         -- sum of p * p
    primary key (campaign, sent_on, step, channel, variant)
);

create table evaluation.attributed (
    campaign text not null,
    step text not null,
    channel text not null,
    variant text not null,
    currency text not null,
    sent_on date not null,
    hours integer not null,                       -- whole hours since the send
    conversions bigint not null,                  -- sends whose first goal fell in this hour
    purchases bigint not null,
    revenue numeric not null,
    revenue_squares numeric not null,
    revenue_by_pre numeric not null,
    primary key (campaign, hours, currency, sent_on, step, channel, variant)
);

create table evaluation.attributed_cells_by_place (
    like evaluation.attributed_cells including defaults,
    language text not null,                       -- '' = not known
    country text not null,
    primary key (campaign, language, country, sent_on, step, channel, variant)
);

create table evaluation.attributed_by_place (
    like evaluation.attributed including defaults,
    language text not null,
    country text not null,
    primary key (campaign, language, country, hours, currency, sent_on, step, channel, variant)
);

-- Distinct people, which no sum of other rows gives: reached by at least one accepted send, per named grain.
create table evaluation.reached_people (
    campaign text not null,
    grain text not null check (grain in ('campaign', 'step', 'channel', 'variant')),
    value text not null,                          -- the step, channel or variant; the campaign's name for `campaign`
    people bigint not null,
    primary key (campaign, grain, value)
);

-- Of them, those with a goal credited to such a send, by the hours of the shortest way from a send to a goal.
create table evaluation.converted_people (
    campaign text not null,
    grain text not null check (grain in ('campaign', 'step', 'channel', 'variant')),
    value text not null,
    hours integer not null,
    people bigint not null,
    primary key (campaign, grain, value, hours)
);

-- The experiment: people by first enrolment in a version, by assigned arm, whether reached or not (I15).
create table evaluation.incremental_cells (
    campaign text not null,
    experiment_version text not null,
    arm text not null check (arm in ('treated', 'holdout')),
    variant text not null,
    enrolled_on date not null,                    -- business zone
    enrolled_until timestamptz not null,          -- end of that day; + W hours <= as_of: everyone here has had W hours
    people bigint not null,
    pre_revenue numeric not null,
    pre_revenue_squares numeric not null,
    primary key (campaign, experiment_version, enrolled_on, arm, variant)
);

create table evaluation.incremental (
    campaign text not null,
    experiment_version text not null,
    arm text not null check (arm in ('treated', 'holdout')),
    variant text not null,
    currency text not null,
    enrolled_on date not null,
    hours integer not null,                       -- whole hours since enrolment
    conversions bigint not null,                  -- people whose first goal fell in this hour
    purchases bigint not null,
    revenue numeric not null,
    revenue_squares numeric not null,
    revenue_by_pre numeric not null,
    primary key (campaign, experiment_version, hours, currency, enrolled_on, arm, variant)
);

create table evaluation.incremental_cells_by_place (
    like evaluation.incremental_cells including defaults,
    language text not null,
    country text not null,
    primary key (campaign, experiment_version, language, country, enrolled_on, arm, variant)
);

create table evaluation.incremental_by_place (
    like evaluation.incremental including defaults,
    language text not null,
    country text not null,
    primary key (campaign, experiment_version, language, country, hours, currency, enrolled_on, arm, variant)
);

-- Where every enrolled person stands: each counted once per campaign, so the rows add up to the people enrolled.
create table evaluation.people (
    campaign text not null,
    standing text not null check (standing in ('reached', 'in_doubt', 'to_come', 'not_reached', 'holdout')),
    state text not null,                          -- the deciding step's state
    reason text not null,                         -- '' = the state says it all
    people bigint not null,
    primary key (campaign, standing, state, reason)
);

-- Every send of the ledger by where it stood.
create table evaluation.sends (
    campaign text not null,
    step text not null,
    channel text not null,
    variant text not null,
    state text not null,
    reason text not null,
    sends bigint not null,
    primary key (campaign, step, channel, variant, state, reason)
);

-- Live from here on: views of what is open now, over the other schemas, aggregates only.

create view evaluation.database as
select mode, business_zone
from campaign.database;

create view evaluation.campaign_states as
select campaign, state, reason, changed_at
from campaign.campaigns;

create view evaluation.runs as
select flow, campaign, max(as_of) as as_of
from campaign.runs
where state = 'completed'
group by flow, campaign;

create view evaluation.open_sends as
select
    campaign,
    channel,
    state,
    date_trunc('hour', coalesce(claimed_at, planned_at)) as since,   -- the hour: an age, not a person
    count(*) as sends
from campaign.sends
where state in ('planned', 'retry_wait', 'in_flight', 'unknown')
group by 1, 2, 3, 4;

create view evaluation.holds as
select campaign, reason, min(held_at) as since, count(*) as loads
from campaign.holds
group by campaign, reason;

-- The newest load of each source and entity, and how it fared at the gate.
create view evaluation.loads as
select distinct on (load.source, load.entity)
    load.source,
    load.entity,
    load.load_id,
    load.state,
    load.as_of,
    load.lines_in,
    load.accepted,
    load.duplicate,
    load.quarantined,
    load.parked,
    load.erased,
    load.released_at,
    coalesce(checks.passed, 0) as checks_passed,
    coalesce(checks.warned, 0) as checks_warned,
    coalesce(checks.failed, 0) as checks_failed,
    coalesce(checks.without_history, 0) as checks_without_history
from raw.loads as load
left join (
    select
        load_id,
        count(*) filter (where outcome = 'passed') as passed,
        count(*) filter (where outcome = 'warned') as warned,
        count(*) filter (where outcome = 'failed') as failed,
        count(*) filter (where outcome = 'not_enough_history') as without_history
    from raw.validations
    group by load_id
) as checks on checks.load_id = load.load_id
order by load.source, load.entity, load.load_id desc;

create view evaluation.load_totals as
select
    source,
    entity,
    count(*) as loads,
    count(*) filter (where state = 'held') as held,
    sum(lines_in) as lines_in,
    sum(accepted) as accepted,
    sum(duplicate) as duplicate,
    sum(quarantined) as quarantined,
    sum(parked) as parked,
    sum(erased) as erased
from raw.loads
group by source, entity;

-- Expectations of the newest load of each source and entity, and of every load that is held.
create view evaluation.validations as
select
    validation.source,
    validation.entity,
    validation.load_id,
    validation.expectation,
    validation.column_name,
    validation.severity,
    validation.outcome,
    validation.observed,
    validation.expected,
    validation.as_of
from raw.validations as validation
where validation.load_id in (select loads.load_id from evaluation.loads)
    or validation.load_id in (select held.load_id from raw.loads as held where held.state = 'held');

create view evaluation.audiences as
select
    platform,
    audience,
    campaign,
    count(*) filter (where desired) as wanted,
    count(*) filter (where applied) as applied,
    count(*) filter (where desired and not applied) as to_add,
    count(*) filter (where applied and not desired) as to_remove
from campaign.audience_members
group by platform, audience, campaign;

create view evaluation.not_in_audience as
select platform, audience, campaign, coalesce(reason, '') as reason, count(*) as people
from campaign.audience_members
where not desired
group by platform, audience, campaign, coalesce(reason, '');
