-- What arrived, before anyone believed it: loads, objects seen, watermarks, landing tables, quarantine.
-- `raw` itself is made by the migration runner, which keeps its list of applied files there.

create table raw.loads (
    load_id bigint generated always as identity primary key,
    source text not null,
    entity text not null,
    object text not null,                 -- file, bucket key, or table with its cursor range; never row content
    etag text,
    incremental boolean not null default true,
    as_of timestamptz not null,           -- the run's logical time
    time_zone text,                       -- zone of timestamps without one; null = such rows are quarantined
    options jsonb not null default '{}',  -- what the gate needs of the mapping: grouping, generated key, fallbacks
    state text not null default 'landed' check (state in ('landed', 'held', 'merged', 'failed')),
    reason text,                          -- why it is held or failed, without row values
    released_at timestamptz,              -- a person released a held load
    lines_in bigint not null default 0,
    accepted bigint not null default 0,
    duplicate bigint not null default 0,
    quarantined bigint not null default 0,
    parked bigint not null default 0,
    erased bigint not null default 0,
    report jsonb not null default '{}',   -- orders, unlinked cancellations, ignored columns, flagged rows ...
    landed_at timestamptz not null default clock_timestamp(),
    merged_at timestamptz,
    constraint sum_of_lines check (
        state <> 'merged' or lines_in = accepted + duplicate + quarantined + parked + erased
    )
);
create index on raw.loads (source, entity, load_id);

-- Objects already taken: a file is read again only when its content tag changed.
create table raw.objects (
    source text not null,
    key text not null,
    etag text not null,
    load_id bigint not null references raw.loads,
    seen_at timestamptz not null default clock_timestamp(),
    primary key (source, key, etag)
);

-- Moved only in the transaction that stores the rows it covers (I6).
create table raw.watermarks (
    source text primary key,
    position text not null,
    load_id bigint not null references raw.loads,
    moved_at timestamptz not null default clock_timestamp()
);

-- Lines that were not believed, kept as they came so that they can be replayed (I5).
create table raw.quarantine (
    quarantine_id bigint generated always as identity primary key,
    load_id bigint not null references raw.loads,
    source text not null,
    entity text not null,
    line_no bigint not null,
    raw text not null,                    -- the line; bytes that are not UTF-8 are kept as \xNN
    fields jsonb not null,                -- the mapped columns, as text
    reason text not null,                 -- reason code
    column_name text,
    first_seen_at timestamptz not null default clock_timestamp(),
    replayed_at timestamptz,
    replay_load_id bigint references raw.loads
);
create index on raw.quarantine (source, entity, reason) where replayed_at is null;

-- Events, consents and push tokens of customers not known yet.
create table raw.parked (
    parked_id bigint generated always as identity primary key,
    load_id bigint not null references raw.loads,
    entity text not null,
    customer_id text not null,
    line_no bigint not null,
    raw text not null,
    fields jsonb not null,
    parked_at timestamptz not null default clock_timestamp()
);
create index on raw.parked (customer_id);

-- One row per expectation of one validation of one load; counts only, never a row value (finding 15).
create table raw.validations (
    validation_id bigint generated always as identity primary key,
    load_id bigint not null references raw.loads,
    source text not null,
    entity text not null,
    expectation text not null,
    column_name text,
    severity text not null,
    outcome text not null check (outcome in ('passed', 'failed', 'warned', 'not_enough_history')),
    observed text,                        -- a count, share or age
    expected text,
    as_of timestamptz not null,
    checked_at timestamptz not null default clock_timestamp()
);
create index on raw.validations (load_id);

-- People who asked to be forgotten: a keyed hash, so that delivering them again does not bring them back.
create table raw.erased (
    customer_hash text primary key,       -- hmac-sha256 of the customer id, keyed by the suppression key
    erased_at timestamptz not null
);

-- Landing tables: one partition per load, named raw.<entity>_<load_id>, made in the transaction that fills it and
-- dropped when the load is merged. Everything is text here: a value that cannot be read is the gate's business.
-- `broken` is the reason code of a line that could not even be split or decoded (its columns are null then);
-- `raw` is the line as it came, bytes that are not UTF-8 and NUL written as \xNN.

create table raw.customers (
    load_id bigint not null,
    line_no bigint not null,
    raw text not null,
    broken text,
    customer_id text,
    email text,
    phone text,
    first_name text,
    last_name text,
    language text,
    country text,
    region text,
    time_zone text,
    created_at text,
    updated_at text
) partition by list (load_id);

create table raw.purchases (
    load_id bigint not null,
    line_no bigint not null,
    raw text not null,
    broken text,
    order_id text,
    customer_id text,
    purchased_at text,
    amount text,
    currency text,
    status text,
    coupon_code text,
    items text,
    updated_at text,
    cancels text                          -- the order that this row cancels, by its id
) partition by list (load_id);

create table raw.checkouts (
    load_id bigint not null,
    line_no bigint not null,
    raw text not null,
    broken text,
    checkout_id text,
    customer_id text,
    visitor_id text,
    email text,
    first_name text,
    last_name text,
    status text,
    failure_reason text,
    amount text,
    currency text,
    language text,
    country text,
    items text,
    coupon_code text,
    opened_at text,
    updated_at text
) partition by list (load_id);

create table raw.events (
    load_id bigint not null,
    line_no bigint not null,
    raw text not null,
    broken text,
    event_id text,
    customer_id text,
    name text,
    occurred_at text,
    properties text
) partition by list (load_id);

create table raw.conversations (
    load_id bigint not null,
    line_no bigint not null,
    raw text not null,
    broken text,
    conversation_id text,
    customer_id text,
    channel text,
    account text,
    ad_id text,
    bot_id text,
    opened_at text,
    milestone text,
    milestone_at text,
    updated_at text
) partition by list (load_id);

create table raw.messages (
    load_id bigint not null,
    line_no bigint not null,
    raw text not null,
    broken text,
    message_id text,
    conversation_id text,
    direction text,
    sender text,
    sent_at text,
    text text,
    kind text
) partition by list (load_id);

create table raw.ads (
    load_id bigint not null,
    line_no bigint not null,
    raw text not null,
    broken text,
    ad_id text,
    campaign_name text,
    bot_id text,
    status text,
    updated_at text
) partition by list (load_id);

create table raw.consents (
    load_id bigint not null,
    line_no bigint not null,
    raw text not null,
    broken text,
    consent_id text,
    customer_id text,
    channel text,
    purpose text,
    status text,
    basis text,
    ad_user_data text,
    ad_personalization text,
    source text,
    wording text,
    occurred_at text,
    expires_at text
) partition by list (load_id);

create table raw.push_tokens (
    load_id bigint not null,
    line_no bigint not null,
    raw text not null,
    broken text,
    token_id text,
    customer_id text,
    endpoint text,
    platform text,
    active text,
    updated_at text
) partition by list (load_id);

create table raw.visits (
    load_id bigint not null,
    line_no bigint not null,
    raw text not null,
    broken text,
    visit_id text,
    session_id text,
    visitor_id text,
    customer_id text,
    page_url text,
    previous_url text,
    referrer text,
    keyword text,
    source_type text,
    city text,
    country text,
    language text,
    device text,
    window_width text,
    window_height text,
    visit_number text,
    custom text,
    viewed_at text,
    left_at text
) partition by list (load_id);
