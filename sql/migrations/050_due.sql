-- What a run looks at again: episodes with something left to do, and those of whom something has changed.

-- The run that opened an episode again; planning begins with what was opened since the last run.
alter table campaign.enrolments add column reopened_by bigint;
create index enrolments_opened on campaign.enrolments (campaign, (coalesce(reopened_by, run_id)))
where closed_at is null;

-- A stop event or goal that is known already and lies in the future of whoever looked last; null: none is.
alter table campaign.enrolments add column stops_at timestamptz;
create index enrolments_stopping on campaign.enrolments (campaign, stops_at)
where closed_at is null and stops_at is not null;

-- Also by when they were enrolled: nobody who has been in an audience for its longest stay comes in again.
drop index campaign.enrolments_open;
create index enrolments_open on campaign.enrolments (campaign, enrolled_at) where closed_at is null;

create index audience_desired on campaign.audience_members (campaign, customer_id) where desired;

-- What a rule dropped for good is settled and no longer found among what is open.
drop index campaign.decisions_open;
create index decisions_open on campaign.decisions (campaign)
where superseded_at is null
    and state in ('planned', 'in_flight', 'retry_wait', 'unknown', 'suppressed', 'waiting')
    and not (
        state = 'suppressed' and coalesce(reason, '') in ('quiet', 'outside_free_window', 'needs_template')
    );

-- When the purchases or events of a person last changed, or which ids they have; silences_changed notes conversations.
create table core.people_changed (
    customer_id text primary key,
    changed_at timestamptz not null default clock_timestamp()
);
create index on core.people_changed (changed_at);

-- When that was not noted person by person: everybody is looked at once more.
create table core.people_filled (
    filled_at timestamptz not null default clock_timestamp()
);
insert into core.people_filled default values;
