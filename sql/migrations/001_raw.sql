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

-- The ends of the commonest spellings of an instant with a zone.
create function raw.is_plain_zone(ending text) returns boolean
language sql immutable parallel safe
return ending = any (array[
    'Z', '+00', '+00:00', '+00:30', '+00:45', '+01', '+01:00', '+01:30', '+01:45', '+02', '+02:00', '+02:30',
    '+02:45', '+03', '+03:00', '+03:30', '+03:45', '+04', '+04:00', '+04:30', '+04:45', '+05', '+05:00', '+05:30',
    '+05:45', '+06', '+06:00', '+06:30', '+06:45', '+07', '+07:00', '+07:30', '+07:45', '+08', '+08:00', '+08:30',
    '+08:45', '+09', '+09:00', '+09:30', '+09:45', '+10', '+10:00', '+10:30', '+10:45', '+11', '+11:00', '+11:30',
    '+11:45', '+12', '+12:00', '+12:30', '+12:45', '+13', '+13:00', '+13:30', '+13:45', '+14', '+14:00', '+14:30',
    '+14:45', '-00', '-00:00', '-00:30', '-00:45', '-01', '-01:00', '-01:30', '-01:45', '-02', '-02:00', '-02:30',
    '-02:45', '-03', '-03:00', '-03:30', '-03:45', '-04', '-04:00', '-04:30', '-04:45', '-05', '-05:00', '-05:30',
    '-05:45', '-06', '-06:00', '-06:30', '-06:45', '-07', '-07:00', '-07:30', '-07:45', '-08', '-08:00', '-08:30',
    '-08:45', '-09', '-09:00', '-09:30', '-09:45', '-10', '-10:00', '-10:30', '-10:45', '-11', '-11:00', '-11:30',
    '-11:45', '-12', '-12:00', '-12:30', '-12:45', '-13', '-13:00', '-13:30', '-13:45', '-14', '-14:00', '-14:30',
    '-14:45'
]);

-- The commonest spellings of an instant with a zone, told without a regular expression (several times cheaper), exactly:
-- every character is in one of the parts looked up, and a list of more than eight constants is looked up by hash. Other
-- years and 29 February are left to the regular expression.
create function raw.is_plain_instant(value text) returns boolean
language sql immutable parallel safe
return substr(value, 1, 5) = any (array[
        '1970-', '1971-', '1972-', '1973-', '1974-', '1975-', '1976-', '1977-', '1978-', '1979-', '1980-', '1981-',
        '1982-', '1983-', '1984-', '1985-', '1986-', '1987-', '1988-', '1989-', '1990-', '1991-', '1992-', '1993-',
        '1994-', '1995-', '1996-', '1997-', '1998-', '1999-', '2000-', '2001-', '2002-', '2003-', '2004-', '2005-',
        '2006-', '2007-', '2008-', '2009-', '2010-', '2011-', '2012-', '2013-', '2014-', '2015-', '2016-', '2017-',
        '2018-', '2019-', '2020-', '2021-', '2022-', '2023-', '2024-', '2025-', '2026-', '2027-', '2028-', '2029-',
        '2030-', '2031-', '2032-', '2033-', '2034-', '2035-', '2036-', '2037-', '2038-', '2039-', '2040-', '2041-',
        '2042-', '2043-', '2044-', '2045-', '2046-', '2047-', '2048-', '2049-', '2050-', '2051-', '2052-', '2053-',
        '2054-', '2055-', '2056-', '2057-', '2058-', '2059-', '2060-', '2061-', '2062-', '2063-', '2064-', '2065-',
        '2066-', '2067-', '2068-', '2069-'
    ])
    and substr(value, 6, 5) = any (array[
        '01-01', '01-02', '01-03', '01-04', '01-05', '01-06', '01-07', '01-08', '01-09', '01-10', '01-11', '01-12',
        '01-13', '01-14', '01-15', '01-16', '01-17', '01-18', '01-19', '01-20', '01-21', '01-22', '01-23', '01-24',
        '01-25', '01-26', '01-27', '01-28', '01-29', '01-30', '01-31', '02-01', '02-02', '02-03', '02-04', '02-05',
        '02-06', '02-07', '02-08', '02-09', '02-10', '02-11', '02-12', '02-13', '02-14', '02-15', '02-16', '02-17',
        '02-18', '02-19', '02-20', '02-21', '02-22', '02-23', '02-24', '02-25', '02-26', '02-27', '02-28', '03-01',
        '03-02', '03-03', '03-04', '03-05', '03-06', '03-07', '03-08', '03-09', '03-10', '03-11', '03-12', '03-13',
        '03-14', '03-15', '03-16', '03-17', '03-18', '03-19', '03-20', '03-21', '03-22', '03-23', '03-24', '03-25',
        '03-26', '03-27', '03-28', '03-29', '03-30', '03-31', '04-01', '04-02', '04-03', '04-04', '04-05', '04-06',
        '04-07', '04-08', '04-09', '04-10', '04-11', '04-12', '04-13', '04-14', '04-15', '04-16', '04-17', '04-18',
        '04-19', '04-20', '04-21', '04-22', '04-23', '04-24', '04-25', '04-26', '04-27', '04-28', '04-29', '04-30',
        '05-01', '05-02', '05-03', '05-04', '05-05', '05-06', '05-07', '05-08', '05-09', '05-10', '05-11', '05-12',
        '05-13', '05-14', '05-15', '05-16', '05-17', '05-18', '05-19', '05-20', '05-21', '05-22', '05-23', '05-24',
        '05-25', '05-26', '05-27', '05-28', '05-29', '05-30', '05-31', '06-01', '06-02', '06-03', '06-04', '06-05',
        '06-06', '06-07', '06-08', '06-09', '06-10', '06-11', '06-12', '06-13', '06-14', '06-15', '06-16', '06-17',
        '06-18', '06-19', '06-20', '06-21', '06-22', '06-23', '06-24', '06-25', '06-26', '06-27', '06-28', '06-29',
        '06-30', '07-01', '07-02', '07-03', '07-04', '07-05', '07-06', '07-07', '07-08', '07-09', '07-10', '07-11',
        '07-12', '07-13', '07-14', '07-15', '07-16', '07-17', '07-18', '07-19', '07-20', '07-21', '07-22', '07-23',
        '07-24', '07-25', '07-26', '07-27', '07-28', '07-29', '07-30', '07-31', '08-01', '08-02', '08-03', '08-04',
        '08-05', '08-06', '08-07', '08-08', '08-09', '08-10', '08-11', '08-12', '08-13', '08-14', '08-15', '08-16',
        '08-17', '08-18', '08-19', '08-20', '08-21', '08-22', '08-23', '08-24', '08-25', '08-26', '08-27', '08-28',
        '08-29', '08-30', '08-31', '09-01', '09-02', '09-03', '09-04', '09-05', '09-06', '09-07', '09-08', '09-09',
        '09-10', '09-11', '09-12', '09-13', '09-14', '09-15', '09-16', '09-17', '09-18', '09-19', '09-20', '09-21',
        '09-22', '09-23', '09-24', '09-25', '09-26', '09-27', '09-28', '09-29', '09-30', '10-01', '10-02', '10-03',
        '10-04', '10-05', '10-06', '10-07', '10-08', '10-09', '10-10', '10-11', '10-12', '10-13', '10-14', '10-15',
        '10-16', '10-17', '10-18', '10-19', '10-20', '10-21', '10-22', '10-23', '10-24', '10-25', '10-26', '10-27',
        '10-28', '10-29', '10-30', '10-31', '11-01', '11-02', '11-03', '11-04', '11-05', '11-06', '11-07', '11-08',
        '11-09', '11-10', '11-11', '11-12', '11-13', '11-14', '11-15', '11-16', '11-17', '11-18', '11-19', '11-20',
        '11-21', '11-22', '11-23', '11-24', '11-25', '11-26', '11-27', '11-28', '11-29', '11-30', '12-01', '12-02',
        '12-03', '12-04', '12-05', '12-06', '12-07', '12-08', '12-09', '12-10', '12-11', '12-12', '12-13', '12-14',
        '12-15', '12-16', '12-17', '12-18', '12-19', '12-20', '12-21', '12-22', '12-23', '12-24', '12-25', '12-26',
        '12-27', '12-28', '12-29', '12-30', '12-31'
    ])
    and substr(value, 11, 4) = any (array[
        'T00:', 'T01:', 'T02:', 'T03:', 'T04:', 'T05:', 'T06:', 'T07:', 'T08:', 'T09:', 'T10:', 'T11:', 'T12:',
        'T13:', 'T14:', 'T15:', 'T16:', 'T17:', 'T18:', 'T19:', 'T20:', 'T21:', 'T22:', 'T23:', ' 00:', ' 01:', '
        02:', ' 03:', ' 04:', ' 05:', ' 06:', ' 07:', ' 08:', ' 09:', ' 10:', ' 11:', ' 12:', ' 13:', ' 14:', ' 15:',
        ' 16:', ' 17:', ' 18:', ' 19:', ' 20:', ' 21:', ' 22:', ' 23:'
    ])
    and substr(value, 15, 3) = any (array[
        '00:', '01:', '02:', '03:', '04:', '05:', '06:', '07:', '08:', '09:', '10:', '11:', '12:', '13:', '14:',
        '15:', '16:', '17:', '18:', '19:', '20:', '21:', '22:', '23:', '24:', '25:', '26:', '27:', '28:', '29:',
        '30:', '31:', '32:', '33:', '34:', '35:', '36:', '37:', '38:', '39:', '40:', '41:', '42:', '43:', '44:',
        '45:', '46:', '47:', '48:', '49:', '50:', '51:', '52:', '53:', '54:', '55:', '56:', '57:', '58:', '59:'
    ])
    and substr(value, 18, 2) = any (array[
        '00', '01', '02', '03', '04', '05', '06', '07', '08', '09', '10', '11', '12', '13', '14', '15', '16', '17',
        '18', '19', '20', '21', '22', '23', '24', '25', '26', '27', '28', '29', '30', '31', '32', '33', '34', '35',
        '36', '37', '38', '39', '40', '41', '42', '43', '44', '45', '46', '47', '48', '49', '50', '51', '52', '53',
        '54', '55', '56', '57', '58', '59'
    ])
    and (
        raw.is_plain_zone(substr(value, 20))
        or (
            substr(value, 20, 1) = '.'
            and substr(value, 21, 1) = any (array['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'])
            and raw.is_plain_zone(ltrim(substr(value, 21), '0123456789'))
        )
    );

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
