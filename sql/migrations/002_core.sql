-- Clean facts. Personal data lives here and nowhere above; analysts read the views in `facts`.

create schema core;

create table core.customers (
    customer_id text primary key,
    email text,
    phone text,
    first_name text,
    last_name text,
    language text,
    country text,
    region text,
    time_zone text,                       -- as stated; time_zones says whether any machine knows it
    created_at timestamptz,
    updated_at timestamptz,
    is_bare boolean not null default false,  -- made by a purchase, checkout or conversation; never described yet
    -- Derived once when the contact changes (spec: hash and parse only what changed):
    email_canonical text,                 -- null when the email channel is not viable
    email_reason text,                    -- why not: invalid_email, control_character
    phone_e164 text,                      -- null when sms and whatsapp are not viable
    phone_reason text,
    time_zones text[] not null default '{}',  -- every zone the person may be in; empty = unknown (A3)
    contact_derived_at timestamptz,       -- null = contact columns must be derived again
    load_id bigint
);
create index on core.customers (customer_id) where contact_derived_at is null;
create index on core.customers (phone_e164) where phone_e164 is not null;
create index on core.customers (email_canonical) where email_canonical is not null;

-- A merge adds an alias; enrolments, sends and arms keep the id they were made with.
create table core.aliases (
    alias_id text primary key,
    customer_id text not null,
    reason text not null,
    merged_at timestamptz not null
);
create index on core.aliases (customer_id);

-- People known by the email of a checkout only: guest_id is 'guest:' and the keyed hash of the canonical email. A guest
-- is a customer until a customer with that email comes, then an alias of theirs (the smallest id where several share it).
create table core.guests (
    guest_id text primary key,
    email_canonical text not null
);
create index on core.guests (email_canonical);

create table core.purchases (
    order_id text primary key,
    customer_id text not null,
    purchased_at timestamptz not null,
    amount numeric(14, 2) not null,
    currency text not null,
    status text not null check (status in ('paid', 'cancelled', 'refunded')),
    coupon_code text,
    items jsonb,
    cancels text,                         -- the order that this row cancels
    cancelled_by text,                    -- another row cancels this order; it no longer counts
    updated_at timestamptz not null,
    load_id bigint not null
);
-- The included columns say whether a purchase counts, so that purchase days are read from the index alone.
create index purchases_of_customer on core.purchases (customer_id, purchased_at) include (status, cancelled_by);
alter table core.purchases alter column customer_id set (n_distinct = -0.2);  -- as in core.purchase_days below
create index on core.purchases (purchased_at);
create index on core.purchases (cancels) where cancels is not null;

-- The purchase cycle (A15): one row per customer and purchase day in the business zone, counted purchases only.
--
-- expected_on is the day of the next purchase by the customer's own average so far, with its fraction: purchase day +
-- (day - first_day) / (number - 1), on a calendar of 24-hour days. It is rounded up to the next microsecond, and that
-- makes it exact: for an instant x on the microsecond grid, "average <= x" and "average rounded up <= x" are the same
-- answer. A day minus any margin of up to 8 decimals lies on that grid (a day is 864 * 10^8 microseconds).
create table core.purchase_days (
    customer_id text not null,
    day date not null,
    number integer not null,              -- 1 for the first purchase day
    first_day date not null,
    at timestamptz not null,              -- earliest counted purchase of the day
    next_day date,                        -- the next purchase day, null for the last one
    next_at timestamptz,                  -- earliest counted purchase of the next purchase day
    expected_on timestamp,                -- null when number = 1: one purchase day has no rhythm
    primary key (customer_id, day)
);
-- A sample of many small groups looks like fewer, larger ones, and a refresh of some people would then read the whole
-- table. A person has a handful of days.
alter table core.purchase_days alter column customer_id set (n_distinct = -0.2);
-- Who is late at the present: rows without a next day, by when the next purchase was expected.
create index purchase_days_open on core.purchase_days (expected_on)
where next_day is null and expected_on is not null;
-- Who was late at a past moment and has bought since: only intervals that lasted longer than expected are in it.
create index purchase_days_overdue on core.purchase_days (expected_on, next_at) where next_day >= expected_on;

-- When a customer's purchase days last changed, so that choosing can look at these people again.
create table core.purchase_days_changed (
    customer_id text primary key,
    changed_at timestamptz not null default clock_timestamp()
);
create index on core.purchase_days_changed (changed_at);

-- When everybody's purchase days were written at once, which is not noted person by person.
create table core.purchase_days_filled (
    filled_at timestamptz not null default clock_timestamp()
);

create table core.checkouts (
    checkout_id text primary key,
    customer_id text,
    guest_id text,                        -- who it came as, when it came with an email only
    visitor_id text,
    email text,
    first_name text,
    last_name text,
    status text not null check (status in ('opened', 'email_entered', 'submitted', 'failed', 'completed')),
    failure_reason text,
    amount numeric(14, 2),
    currency text,
    language text,
    country text,
    items jsonb,
    coupon_code text,
    opened_at timestamptz not null,
    updated_at timestamptz not null,
    load_id bigint not null
);
create index on core.checkouts (customer_id, opened_at);
create index on core.checkouts (guest_id) where guest_id is not null;

create table core.events (
    event_id text primary key,
    customer_id text not null,
    name text not null,
    occurred_at timestamptz not null,
    properties jsonb,
    load_id bigint not null
);
create index on core.events (customer_id, name, occurred_at);

create table core.conversations (
    conversation_id text primary key,
    customer_id text not null,
    channel text not null,
    account text,
    ad_id text,
    bot_id text,
    opened_at timestamptz not null,
    milestone text not null check (milestone in ('lead', 'deep_conversation', 'qualified')),
    milestone_at timestamptz not null,
    updated_at timestamptz not null,
    load_id bigint not null
);
create index on core.conversations (customer_id, opened_at);

create table core.milestones (
    conversation_id text not null,
    milestone text not null,
    milestone_at timestamptz not null,
    primary key (conversation_id, milestone, milestone_at)
);

create table core.messages (
    message_id text primary key,
    conversation_id text not null,
    direction text not null check (direction in ('inbound', 'outbound')),
    sender text not null check (sender in ('customer', 'bot', 'agent', 'campaign')),
    sent_at timestamptz not null,
    text text,
    kind text,
    load_id bigint not null
);
create index on core.messages (conversation_id, sent_at);

-- Each change of an ad is a row, so that any past moment is right.
create table core.ads (
    ad_id text not null,
    updated_at timestamptz not null,
    campaign_name text not null,
    bot_id text,
    status text not null check (status in ('active', 'paused')),
    load_id bigint not null,
    primary key (ad_id, updated_at)
);

-- Append-only history (A21); what is in force at a moment is computed from it.
create table core.consents (
    consent_id text primary key,
    customer_id text not null,
    channel text not null check (
        channel in ('email', 'push', 'webpush', 'inbox', 'sms', 'whatsapp', 'meta', 'tiktok', 'google')
    ),
    purpose text not null check (purpose in ('marketing', 'retargeting', 'transactional')),
    status text not null check (status in ('granted', 'withdrawn')),
    basis text check (basis in ('express', 'soft_opt_in', 'inquiry')),
    ad_user_data boolean,
    ad_personalization boolean,
    source text,
    wording text,
    occurred_at timestamptz not null,
    expires_at timestamptz,
    load_id bigint,
    check (status = 'withdrawn' or basis is not null)
);
create index on core.consents (customer_id, channel, purpose, occurred_at);

-- A consent line in quarantine counts as a withdrawal for its person and channel until replayed.
create table core.consent_blocks (
    quarantine_id bigint primary key references raw.quarantine,
    customer_id text not null,
    channel text                          -- null: every channel
);
create index on core.consent_blocks (customer_id);

create table core.push_tokens (
    token_id text primary key,
    customer_id text not null,
    endpoint text not null,
    platform text not null check (platform in ('apns', 'fcm', 'webpush')),
    active boolean not null,
    updated_at timestamptz not null,
    load_id bigint not null
);
create index on core.push_tokens (customer_id) where active;

create table core.visits (
    visit_id text primary key,
    session_id text not null,
    visitor_id text,
    customer_id text,
    page_url text not null,
    previous_url text,
    referrer text,
    keyword text,
    source_type text,
    city text,
    country text,
    language text,
    device text,
    window_width integer,
    window_height integer,
    visit_number integer,
    custom jsonb,
    viewed_at timestamptz not null,
    left_at timestamptz,
    load_id bigint not null
);
create index on core.visits (customer_id, viewed_at) where customer_id is not null;

-- People who must not be written to, by keyed hash of the address, so that the list itself names nobody.
create table core.suppressions (
    address_hmac text not null,
    channel text not null,
    scope text not null default 'marketing',
    reason text not null,
    suppressed_at timestamptz not null,
    primary key (address_hmac, channel, scope)
);
