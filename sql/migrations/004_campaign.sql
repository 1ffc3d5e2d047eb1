-- What was decided and done: enrolments, decisions, the send ledger, audiences, outcomes.

create schema campaign;

-- One row: what this database is and where its days begin.
create table campaign.database (
    one boolean primary key default true check (one),
    mode text check (mode in ('live', 'simulated')),   -- null until the first command that chooses or sends
    business_zone text not null,
    decided_at timestamptz
);

-- State of a campaign that a person or a threshold changed; the definition itself is its folder.
create table campaign.campaigns (
    campaign text primary key,                          -- '*' = the kill switch for everything
    state text not null default 'active' check (state in ('active', 'paused', 'ended')),
    reason text,
    changed_at timestamptz not null default clock_timestamp()
);

create table campaign.runs (
    run_id bigint generated always as identity primary key,
    flow text not null,                                 -- reengage, dispatch, evaluate, ingest
    campaign text,
    as_of timestamptz not null,
    state text not null default 'running' check (state in ('running', 'completed', 'failed', 'superseded')),
    full_pass boolean,
    segment_sha256 text,                                -- file and parameters: a change forces a full pass
    config_sha256 text,
    counts jsonb not null default '{}',
    started_at timestamptz not null default clock_timestamp(),
    finished_at timestamptz
);
create index on campaign.runs (campaign, flow, as_of);

-- A campaign whose data is not trusted: the claim refuses it, its rows stay planned, removals still run.
create table campaign.holds (
    campaign text not null,
    load_id bigint not null,
    reason text not null,                               -- gate: source, entity, expectation
    held_at timestamptz not null default clock_timestamp(),
    primary key (campaign, load_id)
);

create table campaign.enrolments (
    enrolment_id bigint generated always as identity primary key,
    campaign text not null,
    customer_id text not null,
    episode text not null,
    anchor_at timestamptz not null,
    enrolled_at timestamptz not null,                   -- as_of of the run that enrolled
    run_id bigint not null references campaign.runs,
    experiment_version text not null,                   -- changes with share, variants or salt (I14)
    arm text not null check (arm in ('treated', 'holdout')),
    variant text not null,
    assigned_u double precision not null,               -- holdout u of the published formula
    variant_u double precision not null,
    first_in_experiment boolean not null,               -- the experiment unit (evaluation counts these)
    evidence jsonb not null default '{}',               -- the segment's extra columns: template variables
    segment_sha256 text not null,
    config_sha256 text not null,
    closed_at timestamptz,
    close_reason text,                                  -- goal, stop_event, left_segment, campaign_ended, merged
    unique (campaign, customer_id, episode)
);
create index on campaign.enrolments (campaign, customer_id);
create index on campaign.enrolments (customer_id) where closed_at is null;

-- The decision in force per enrolled person and step; a changed decision closes the row before it, so every
-- run and every past moment finds exactly one.
create table campaign.decisions (
    decision_id bigint generated always as identity primary key,
    enrolment_id bigint not null references campaign.enrolments,
    campaign text not null,
    customer_id text not null,
    episode text not null,
    step text not null,                                 -- '<n>', or '<n>.<channel>' under all_viable
    state text not null check (
        state in ('planned', 'in_flight', 'retry_wait', 'accepted', 'unknown', 'abandoned', 'suppressed',
                  'cancelled', 'expired', 'rejected', 'holdout', 'waiting')
    ),
    reason text,
    channel text,
    gates jsonb not null default '[]',                  -- every gate in order with its answer, for `why` (I20)
    run_id bigint references campaign.runs,
    decided_at timestamptz not null,                    -- decision clock
    superseded_at timestamptz
);
create unique index decisions_in_force on campaign.decisions (enrolment_id, step) where superseded_at is null;
create index on campaign.decisions (campaign, customer_id);

-- The ledger (reliability section 4). The channel is not part of the key.
create table campaign.sends (
    send_key text primary key,                          -- sha256 of v1|campaign|customer|episode|step
    enrolment_id bigint not null references campaign.enrolments,
    campaign text not null,
    customer_id text not null,
    episode text not null,
    step text not null,
    variant text not null,
    arm text not null,
    channel text not null,
    provider text not null,
    template_version text not null,
    payload_sha256 text,
    due_at timestamptz not null,
    not_before timestamptz not null,
    expires_at timestamptz not null,
    priority integer not null default 0,
    state text not null check (
        state in ('planned', 'in_flight', 'retry_wait', 'accepted', 'unknown', 'abandoned', 'rejected',
                  'suppressed', 'cancelled', 'expired')
    ),
    reason text,
    billable boolean,
    voucher_code text,
    attempt_no integer not null default 0,
    claim_token uuid,
    lease_until timestamptz,
    provider_message_id text,
    planned_at timestamptz not null,
    claimed_at timestamptz,
    accepted_at timestamptz,
    settled_at timestamptz,
    run_id bigint references campaign.runs
);
create index sends_due on campaign.sends (not_before, priority desc) where state in ('planned', 'retry_wait');
create index sends_open on campaign.sends (state) where state in ('in_flight', 'unknown');
create index on campaign.sends (customer_id, channel, accepted_at) where accepted_at is not null;
create index on campaign.sends (enrolment_id);
create index on campaign.sends (campaign, state);

-- Append-only, inserted in the claim transaction; attempt_id travels with the message.
create table campaign.attempts (
    attempt_id uuid primary key,
    send_key text not null references campaign.sends,
    attempt_no integer not null,
    batch_id uuid not null,
    channel text not null,
    provider text not null,
    payload_sha256 text not null,
    address_hmac text not null,
    started_at timestamptz not null default clock_timestamp(),
    decided_at timestamptz not null,                    -- decision clock of the claim
    finished_at timestamptz,
    outcome text check (
        outcome in ('accepted', 'refused', 'busy', 'misconfigured', 'unanswered', 'not_started')
    ),
    status_code integer,
    error_class text,
    provider_message_id text,
    unique (send_key, attempt_no)
);

create table campaign.provider_events (
    provider text not null,
    event_key text not null,
    attempt_id uuid,
    kind text not null,
    occurred_at timestamptz not null,
    received_at timestamptz not null default clock_timestamp(),
    primary key (provider, event_key)
);

-- Desired and applied membership; the difference is what a sync sends.
create table campaign.audience_members (
    platform text not null,
    audience text not null,
    campaign text not null,
    customer_id text not null,
    desired boolean not null,
    applied boolean not null default false,
    reason text,                                        -- why not desired: bought, no_consent, no_contact ...
    desired_at timestamptz not null,
    applied_at timestamptz,
    primary key (platform, audience, customer_id)
);
create index audience_pending on campaign.audience_members (platform, audience) where desired <> applied;

-- Person-level outcomes of the experiment; aggregates of them go to `evaluation`.
create table campaign.outcomes (
    campaign text not null,
    experiment_version text not null,
    customer_id text not null,
    enrolment_id bigint not null references campaign.enrolments,
    arm text not null,
    variant text not null,
    enrolled_at timestamptz not null,
    converted_at timestamptz,
    purchases integer not null default 0,
    revenue jsonb not null default '{}',                -- per currency, within max_window_hours
    pre_revenue jsonb not null default '{}',            -- per currency, pre-period of the same length
    measured_at timestamptz not null,
    primary key (campaign, experiment_version, customer_id)
);

-- The tracked `voucher` event of B8: which code was put in front of whom, when.
create table campaign.voucher_events (
    send_key text primary key references campaign.sends,
    campaign text not null,
    customer_id text not null,
    code text not null,
    occurred_at timestamptz not null
);

-- The outbox behaves like a foreign provider: its own store, its own connection, no uniqueness on our keys.
create schema outbox;

create table outbox.messages (
    message_id bigint generated always as identity primary key,
    received_at timestamptz not null default clock_timestamp(),
    at timestamptz,                                     -- the decision clock the caller stated
    attempt_id text not null,
    send_key text not null,                             -- echo; counting these rows judges the ledger
    channel text not null,
    address text not null,
    content jsonb not null                              -- subject, body, headers as a provider would get them
);
create index on outbox.messages (send_key);

create table outbox.audience_calls (
    call_id bigint generated always as identity primary key,
    received_at timestamptz not null default clock_timestamp(),
    platform text not null,
    audience text not null,
    verb text not null check (verb in ('add', 'remove')),
    people integer not null
);

create table outbox.audience_members (
    platform text not null,
    audience text not null,
    person_sha256 text not null,
    primary key (platform, audience, person_sha256)
);
