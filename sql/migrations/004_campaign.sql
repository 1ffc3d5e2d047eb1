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
    dispatched_at timestamptz,                          -- simulated: how far its sends have been played
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
    changes_seen_at timestamptz,                        -- purchase days that changed before this were looked at
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
create index enrolments_open on campaign.enrolments (campaign) where closed_at is null;

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
    run_id bigint,                                      -- no foreign key: it would cost a look-up per row
    decided_at timestamptz not null,                    -- decision clock
    superseded_at timestamptz
);
create unique index decisions_in_force on campaign.decisions (enrolment_id, step) where superseded_at is null;
create index on campaign.decisions (campaign, customer_id);
create index decisions_open on campaign.decisions (campaign)
where superseded_at is null
    and state in ('planned', 'in_flight', 'retry_wait', 'unknown', 'suppressed', 'waiting');

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
    run_id bigint                                       -- no foreign key: it would cost a look-up per row
);
create index sends_due on campaign.sends (priority desc, not_before) where state in ('planned', 'retry_wait');
create index sends_played on campaign.sends (not_before, priority desc) where state in ('planned', 'retry_wait');
create index sends_expiring on campaign.sends (expires_at) where state in ('planned', 'retry_wait');
create index sends_open on campaign.sends (state) where state in ('in_flight', 'unknown');
create index on campaign.sends (customer_id);
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
    reason text,                                        -- the provider's refusal as a stable code
    retry_after interval,                               -- asked for by the provider: such a wait costs no attempt
    provider_message_id text,
    unique (send_key, attempt_no)
);

create table campaign.provider_events (
    provider text not null,
    event_key text not null,
    attempt_id uuid,
    kind text not null,                                 -- accepted, delivered, opened, clicked, bounced, complained,
                                                        -- unsubscribed; not_accepted: the provider knows it never came
    occurred_at timestamptz not null,
    received_at timestamptz not null default clock_timestamp(),
    settled_at timestamptz,                             -- the ledger has looked at it
    primary key (provider, event_key)
);
create index provider_events_unsettled on campaign.provider_events (attempt_id) where settled_at is null;

-- Desired and applied membership; the difference is what a sync sends. Campaigns may share an audience: each has its own
-- row about a person, and who is wanted by any of them is in.
create table campaign.audience_members (
    platform text not null,
    audience text not null,
    campaign text not null,
    customer_id text not null,
    desired boolean not null,
    applied boolean not null default false,
    reason text,                                        -- why not desired: stop_event, no_consent, no_address ...
    desired_at timestamptz not null,
    contact_sha256 text,                                -- of the contact wanted there: a new one is a new member
    applied_at timestamptz,
    applied_contact_sha256 text,
    identity text,                                      -- what the platform knows the person by, hashed; null = not in
    primary key (platform, audience, customer_id, campaign)
);
create index audience_pending on campaign.audience_members (campaign, platform, audience)
where desired <> applied or contact_sha256 is distinct from applied_contact_sha256;

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

-- One truth about a person, asked by planning and asked again by the claim; each function is one select without
-- side effects, so that the planner inlines it and a batch costs index look-ups only.

-- Zones this server can compute with; a name outside this list counts as unknown (it fails closed).
create table campaign.zones (name text primary key);
insert into campaign.zones (name) select name from pg_timezone_names on conflict do nothing;

-- The customer a row belongs to today and every id it ever had (a merge adds an alias).
create function campaign.person(customer text)
returns table (customer_id text, ids text[])
language sql stable
as $$
    select
        coalesce(merged.customer_id, customer),
        array(
            select other.alias_id
            from core.aliases as other
            where other.customer_id = coalesce(merged.customer_id, customer)
        ) || coalesce(merged.customer_id, customer)
    from (values (1)) as one (row_no)
    left join core.aliases as merged on merged.alias_id = customer
$$;

-- Bases in force per channel (A21): the last withdrawal ends every earlier grant, only a later express grant
-- restores, the same instant counts for the withdrawal; a quarantined consent line counts as a withdrawal.
create function campaign.consents_in_force(ids text[], at timestamptz, wanted_purpose text)
returns table (channel text, bases text[])
language sql stable
as $$
    select history.channel, array_agg(distinct history.basis)
    from (
        select
            consents.channel, consents.status, consents.basis, consents.occurred_at, consents.expires_at,
            max(consents.occurred_at) filter (where consents.status = 'withdrawn')
                over (partition by consents.channel) as withdrawn_at
        from core.consents
        where consents.customer_id = any(ids)
            and consents.purpose = wanted_purpose
            and consents.occurred_at <= at
    ) as history
    where history.status = 'granted'
        and (history.expires_at is null or history.expires_at > at)
        and (
            history.withdrawn_at is null
            or (history.occurred_at > history.withdrawn_at and history.basis = 'express')
        )
        and not exists (
            select from core.consent_blocks as blocks
            where blocks.customer_id = any(ids) and (blocks.channel is null or blocks.channel = history.channel)
        )
    group by history.channel
$$;

-- HMAC-SHA256 as hex with built-in functions only; the pads are the key, blown up by tasks/rules/keyed.py.
create function campaign.keyed_hash(inner_pad bytea, outer_pad bytea, value text)
returns text
language sql immutable
as $$
    select encode(sha256(outer_pad || sha256(inner_pad || convert_to(value, 'UTF8'))), 'hex')
$$;

-- Where a person can be reached: one row per channel with consent or address, suppression already looked up.
-- No address: email and phone did not parse or are missing, no active token (B4, B5, C21).
create function campaign.reach(
    person_id text, ids text[], at timestamptz, wanted_purpose text, inner_pad bytea, outer_pad bytea
)
returns table (channel text, bases text[], address text, address_hmac text, is_suppressed boolean)
language sql stable
as $$
    with consented as materialized (
        select in_force.channel, in_force.bases
        from campaign.consents_in_force(ids, at, wanted_purpose) as in_force
    )

    select
        ways.channel,
        coalesce(consented.bases, '{}'),
        ways.address,
        campaign.keyed_hash(inner_pad, outer_pad, ways.address),
        exists (
            select from core.suppressions
            where suppressions.address_hmac = campaign.keyed_hash(inner_pad, outer_pad, ways.address)
                and suppressions.channel = ways.channel
                and (
                    suppressions.scope in ('all', wanted_purpose)
                    or (suppressions.scope = 'marketing' and wanted_purpose = 'retargeting')
                )
        )
    from (
        select 'email' as channel, customers.email_canonical as address
        from core.customers where customers.customer_id = person_id
        union all
        select phones.channel, customers.phone_e164
        from core.customers
        cross join (values ('sms'), ('whatsapp')) as phones (channel)
        where customers.customer_id = person_id
        union all
        select 'inbox', person_id
        union all
        select
            tokens.channel,
            (
                select push_tokens.endpoint
                from core.push_tokens
                where push_tokens.customer_id = any(ids)
                    and push_tokens.active
                    and (push_tokens.platform = 'webpush') = (tokens.channel = 'webpush')
                order by push_tokens.updated_at desc, push_tokens.token_id
                limit 1
            )
        from (values ('push'), ('webpush')) as tokens (channel)
    ) as ways
    left join consented on consented.channel = ways.channel
$$;

-- What ends a sequence or counts as its goal (A23), in [since, until]: a counted purchase, or an event whose
-- properties match. `since` is included: purchases that come as days have the instant of midnight, as anchors do.
create function campaign.stop_events(
    ids text[], wanted_event text, wanted_properties jsonb, since timestamptz, until timestamptz
)
returns table (occurred_at timestamptz)
language sql stable
as $$
    select purchases.purchased_at
    from core.purchases
    where wanted_event = 'purchase'
        and purchases.customer_id = any(ids)
        and purchases.purchased_at between since and until
        and purchases.status = 'paid'
        and purchases.cancelled_by is null
        and jsonb_build_object(
            'amount', purchases.amount, 'currency', purchases.currency, 'coupon_code', purchases.coupon_code
        ) @> wanted_properties
    union all
    select events.occurred_at
    from core.events
    where wanted_event <> 'purchase'
        and events.customer_id = any(ids)
        and events.name = wanted_event
        and events.occurred_at between since and until
        and coalesce(events.properties, '{}') @> wanted_properties
$$;

-- Quiet hours [start, end) on the recipient's wall clock, may cross midnight (A3); true when any zone is quiet.
create function campaign.is_quiet(at timestamptz, zones text[], quiet_start time, quiet_end time)
returns boolean
language sql stable
as $$
    select coalesce(bool_or(
        case
            when quiet_start < quiet_end
                then cast(at at time zone zone as time) >= quiet_start and cast(at at time zone zone as time) < quiet_end
            else cast(at at time zone zone as time) >= quiet_start or cast(at at time zone zone as time) < quiet_end
        end
    ), false)
    from unnest(zones) as zone
$$;

-- The first moment, from `at` on, when no zone is quiet; null when two days hold none. The wall clock is asked minute
-- by minute, so gaps and folds of clock changes need no rule; the series comes in order and is left at the first hit.
create function campaign.next_open(at timestamptz, zones text[], quiet_start time, quiet_end time)
returns timestamptz
language sql stable
as $$
    select case when scan.minute = 0 then at else date_trunc('minute', at) + make_interval(mins => scan.minute) end
    from (select generate_series(0, 2880) as minute) as scan
    where not campaign.is_quiet(
        case when scan.minute = 0 then at else date_trunc('minute', at) + make_interval(mins => scan.minute) end,
        zones, quiet_start, quiet_end
    )
    limit 1
$$;

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
