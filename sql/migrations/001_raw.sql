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

-- How the gate reads text. Each function is one expression, so the planner writes it into the statement that uses it:
-- a call per value would cost more than the reading. What cannot be read is null; the *_problem functions say why,
-- as '<reason code> <column>', and look twice only at what is not plainly good. PostgreSQL 15 has no
-- pg_input_is_valid and an exception block per row is slow, hence patterns and arithmetic.

-- The one canonicaliser of ids: no blanks around, empty is missing, leading zeros and case kept.
create function raw.trimmed(value text) returns text
language sql immutable parallel safe
return nullif(btrim(value, E' \t\r\n\u00a0\ufeff'), '');

-- `|` separates the fields of a send key; 200 bytes is far under what an index entry may hold.
create function raw.id_problem(id text, column_name text) returns text
language sql immutable parallel safe
return case
    when id is null then 'missing_id ' || column_name
    when octet_length(id) > 200 then 'id_too_long ' || column_name
    when strpos(id, '|') > 0 then 'invalid_id ' || column_name
end;

create function raw.optional_id_problem(id text, column_name text) returns text
language sql immutable parallel safe
return case
    when octet_length(id) > 200 then 'id_too_long ' || column_name
    when strpos(id, '|') > 0 then 'invalid_id ' || column_name
end;

create function raw.missing(value text, column_name text) returns text
language sql immutable parallel safe
return case when value is null then 'missing_value ' || column_name end;

create function raw.not_in(value text, known text[], reason text, column_name text) returns text
language sql immutable parallel safe
return case
    when value = any (known) then null
    when value is null then 'missing_value ' || column_name
    else reason || ' ' || column_name
end;

-- A wall-clock time of a zone as an instant: the first pass where a clock change repeats it, null where one skips it.
-- The offset in force a day before is the one before the change.
create function raw.from_local(local timestamp, zone text) returns timestamptz
language sql stable parallel safe
return case
    when (((local - interval '1 day') at time zone zone + interval '24 hours') at time zone zone) = local
        then (local - interval '1 day') at time zone zone + interval '24 hours'
    when ((local at time zone zone) at time zone zone) = local then local at time zone zone
end;

create function raw.is_naive(value text) returns boolean
language sql immutable parallel safe
return value ~ '^\s*(?:[12]\d{3}-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)|[12]\d(?:0[48]|[2468][048]|[13579][26])-02-29|(?:12|16|20|24|28)00-02-29)(?:[Tt ](?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d+)?)?)?\s*$';

-- The commonest spellings of an instant with a zone, told without a regular expression (ten times cheaper); ends of
-- months are left to it. Not every digit is looked at, so a cast may still fail: the gate then asks again, `careful`.
create function raw.is_plain_instant(value text) returns boolean
language sql immutable parallel safe
return value like '____-__-_____:__:__%'
    and value collate "C" between '1' and '3'
    and substr(value, 11, 1) in ('T', ' ')
    and substr(value, 12, 8) collate "C" <= '23:59:59'
    and substr(value, 6, 2) collate "C" between '01' and '12'
    and substr(value, 9, 2) collate "C" between '01' and '28'
    and case substr(value, 20)
        when 'Z' then true
        when '+00' then true
        when '+00:00' then true
        else
            substr(value, 20) like '+__:__'
            or substr(value, 20) like '-__:__'
            or btrim(substr(value, 20), '.0123456789') in ('Z', '+', '-', '+00:')
    end;

create function raw.instant(value text, zone text, careful boolean) returns timestamptz
language sql stable parallel safe
return case
    when
        not careful and raw.is_plain_instant(value)
        then cast(value as timestamptz)
    when
        value
        ~ '^\s*(?:[12]\d{3}-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)|[12]\d(?:0[48]|[2468][048]|[13579][26])-02-29|(?:12|16|20|24|28)00-02-29)[Tt ](?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d+)?)? ?(?:[Zz]|[+-](?:0\d|1[0-4])(?::?[0-5]\d)?)\s*$'
        then cast(value as timestamptz)
    when zone is not null and raw.is_naive(value) then raw.from_local(cast(value as timestamp), zone)
end;

-- Whether an instant was read from a wall-clock time that happened twice.
create function raw.is_repeated(value text, zone text) returns boolean
language sql stable parallel safe
return case
    when zone is not null and value not like '%Z' and raw.is_naive(value)
        then (
            raw.from_local(cast(value as timestamp), zone) is distinct from (cast(value as timestamp) at time zone zone)
            and ((cast(value as timestamp) at time zone zone) at time zone zone) = cast(value as timestamp)
        )
    else false
end;

-- Nothing we are told happened before 1970-01-02: earlier instants are some system's way to say "none".
create function raw.instant_problem(
    value text, read timestamptz, zone text, latest timestamptz, column_name text
) returns text
language sql stable parallel safe
return case
    when read >= timestamptz '1970-01-02 00:00:00+00' and read <= latest then null
    else case
        when read > latest then 'future_timestamp'
        when read is not null then 'sentinel_date'
        when raw.trimmed(value) is null then 'missing_value'
        when value ~ '^\s*[+]?(?:\d{5,}-|0\d{3}-|[3-9]\d{3}-|\d{12,}(?:\.\d*)?\s*$)' then 'year_out_of_range'
        when raw.is_naive(value) then case when zone is null then 'naive_timestamp' else 'nonexistent_local_time' end
        when value ~ '^\s*\d{4}-\d\d-\d\d(?:[Tt ]|\s*$)' then 'invalid_date'
        else 'not_a_timestamp'
    end || ' ' || column_name
end;

create function raw.optional_instant_problem(
    value text, read timestamptz, zone text, latest timestamptz, column_name text
) returns text
language sql stable parallel safe
return case
    when value is null then null
    when raw.trimmed(value) is null then null
    else raw.instant_problem(value, read, zone, latest, column_name)
end;

create function raw.number(value text) returns numeric
language sql immutable parallel safe
return case
    when
        btrim(value, '0123456789.') = '' and value not like '%.%.%' and value not in ('', '.')
        and octet_length(value) <= 40
        then cast(value as numeric)
    when value ~ '^\s*[-+]?(?:\d+\.?\d*|\.\d+)\s*$' and octet_length(value) <= 60 then cast(value as numeric)
end;

-- numeric(14, 2) holds 12 digits before the point; what would round up to a 13th does not fit either.
create function raw.number_problem(value text, read numeric, column_name text) returns text
language sql immutable parallel safe
return case
    when read > -999999999999.995 and read < 999999999999.995 then null
    else case
        when read is not null then 'amount_overflow'
        when raw.trimmed(value) is null then 'missing_value'
        when value ~* '^\s*[-+]?(?:nan|inf|infinity|∞)\s*$' then 'not_finite'
        else 'not_a_number'
    end || ' ' || column_name
end;

create function raw.money(read numeric) returns numeric
language sql immutable parallel safe
return case when read > -999999999999.995 and read < 999999999999.995 then cast(read as numeric(14, 2)) end;

create function raw.whole(value text) returns integer
language sql immutable parallel safe
return case when value ~ '^\s*[-+]?\d{1,9}(?:\.0*)?\s*$' then cast(cast(value as numeric) as integer) end;

create function raw.truth(value text) returns boolean
language sql immutable parallel safe
return case
    when lower(raw.trimmed(value)) in ('true', 't', 'yes', 'y', '1', 'granted') then true
    when lower(raw.trimmed(value)) in ('false', 'f', 'no', 'n', '0', 'denied') then false
end;

-- ISO 4217, active codes and those still met in histories.
create function raw.is_currency(code text) returns boolean
language sql immutable parallel safe
return code = any (array[
        'AED', 'AFN', 'ALL', 'AMD', 'ANG', 'AOA', 'ARS', 'AUD', 'AWG', 'AZN', 'BAM', 'BBD', 'BDT', 'BGN', 'BHD',
        'BIF', 'BMD', 'BND', 'BOB', 'BOV', 'BRL', 'BSD', 'BTN', 'BWP', 'BYN', 'BZD', 'CAD', 'CDF', 'CHE', 'CHF',
        'CHW', 'CLF', 'CLP', 'CNY', 'COP', 'COU', 'CRC', 'CUP', 'CVE', 'CZK', 'DJF', 'DKK', 'DOP', 'DZD', 'EGP',
        'ERN', 'ETB', 'EUR', 'FJD', 'FKP', 'GBP', 'GEL', 'GHS', 'GIP', 'GMD', 'GNF', 'GTQ', 'GYD', 'HKD', 'HNL',
        'HTG', 'HUF', 'IDR', 'ILS', 'INR', 'IQD', 'IRR', 'ISK', 'JMD', 'JOD', 'JPY', 'KES', 'KGS', 'KHR', 'KMF',
        'KPW', 'KRW', 'KWD', 'KYD', 'KZT', 'LAK', 'LBP', 'LKR', 'LRD', 'LSL', 'LYD', 'MAD', 'MDL', 'MGA', 'MKD',
        'MMK', 'MNT', 'MOP', 'MRU', 'MUR', 'MVR', 'MWK', 'MXN', 'MXV', 'MYR', 'MZN', 'NAD', 'NGN', 'NIO', 'NOK',
        'NPR', 'NZD', 'OMR', 'PAB', 'PEN', 'PGK', 'PHP', 'PKR', 'PLN', 'PYG', 'QAR', 'RON', 'RSD', 'RUB', 'RWF',
        'SAR', 'SBD', 'SCR', 'SDG', 'SEK', 'SGD', 'SHP', 'SLE', 'SOS', 'SRD', 'SSP', 'STN', 'SVC', 'SYP', 'SZL',
        'THB', 'TJS', 'TMT', 'TND', 'TOP', 'TRY', 'TTD', 'TWD', 'TZS', 'UAH', 'UGX', 'USD', 'USN', 'UYI', 'UYU',
        'UYW', 'UZS', 'VED', 'VES', 'VND', 'VUV', 'WST', 'XAF', 'XCD', 'XCG', 'XOF', 'XPF', 'YER', 'ZAR', 'ZMW',
        'ZWG', 'HRK'
    ]);

create function raw.currency(value text) returns text
language sql immutable parallel safe
return case
    when raw.is_currency(value) then value
    when raw.is_currency(upper(raw.trimmed(value))) then upper(raw.trimmed(value))
end;

create function raw.currency_problem(value text, read text, column_name text) returns text
language sql immutable parallel safe
return case
    when read is not null then null
    when raw.trimmed(value) is null then 'missing_value ' || column_name
    else 'unknown_currency ' || column_name
end;

-- JSON nested deeper than 64 levels is an attack or a mistake. Marked parallel safe, and strict, so that loads without
-- JSON may be read in parallel; an exception block must not run there, so the gate reads a load that has any alone.
create function raw.read_json(value text) returns jsonb
language plpgsql immutable strict parallel safe
as $$
declare
    brackets text;
    depth integer := 0;
begin
    if btrim(value) = '' then
        return null;
    end if;
    if octet_length(value) > 128 then
        brackets := regexp_replace(value, '"(?:[^"\\]|\\.)*"', '', 'g');
        brackets := regexp_replace(brackets, '[^][{}]', '', 'g');
        while brackets <> '' and depth <= 64 loop
            brackets := replace(replace(brackets, '[]', ''), '{}', '');
            depth := depth + 1;
        end loop;
        if brackets <> '' then
            return null;
        end if;
    end if;
    return cast(value as jsonb);
exception when others then
    return null;
end
$$;

create function raw.unread(value text, is_unread boolean, reason text, column_name text) returns text
language sql immutable parallel safe
return case when is_unread and raw.trimmed(value) is not null then reason || ' ' || column_name end;

-- A load's partition is filled as a table of its own and attached last: attaching waits for nobody, while making it
-- as a partition at once would keep every other load of the entity waiting until this one has landed.
create function raw.open_landing(entity text, load_id bigint) returns text language plpgsql as $$
declare
    landing text := entity || '_' || load_id;
begin
    execute format('create table raw.%I (like raw.%I including defaults including constraints)', landing, entity);
    execute format(
        'alter table raw.%I alter column load_id set default %s, add constraint of_load check (load_id = %s)',
        landing, load_id, load_id
    );
    return landing;
end
$$;

create function raw.close_landing(entity text, load_id bigint) returns text language plpgsql
set default_statistics_target = 10 as $$
declare
    landing text := entity || '_' || load_id;
begin
    -- Nobody analyses a table that lives for seconds, and the gate's plans depend on it; a small sample will do.
    execute format('analyze raw.%I', landing);
    execute format('alter table raw.%I attach partition raw.%I for values in (%s)', entity, landing, load_id);
    return landing;
end
$$;
