-- Hours in which nobody is written to: the campaign's own and the law's, both as open minutes of a week.

-- Where the law of the person's place applies: a country (`DE`), or a region of one (`US-FL`); several count together.
-- Null until the contact is derived again: then the strictest hours hold.
alter table core.customers add column legal_areas text[];
update core.customers set contact_derived_at = null where contact_derived_at is not null;

-- Minutes of the week (0 is Monday 00:00 on the wall clock) in which a text may arrive, from the configuration's table
-- of legal windows. `*` is any place that the table does not name; this row holds until the table is read.
create table campaign.legal_windows (
    area text not null,
    channel text not null,
    purpose text not null,
    open_minutes int4multirange not null,
    primary key (area, channel, purpose)
);
insert into campaign.legal_windows (area, channel, purpose, open_minutes)
select
    '*', channels.channel, purposes.purpose,
    range_agg(int4range(day * 1440 + 600, day * 1440 + 1200))
from (values ('sms'), ('whatsapp')) as channels (channel)
cross join (values ('marketing'), ('retargeting'), ('transactional')) as purposes (purpose)
cross join generate_series(0, 6) as day
group by channels.channel, purposes.purpose;

-- Which file these rows are.
create table campaign.legal_source (
    one boolean primary key default true check (one),
    sha256 text not null,
    loaded_at timestamptz not null default clock_timestamp()
);

-- Open minutes under every law that may apply; null: no law binds this channel anywhere. A place the table does not
-- name has the hours of its country, where nothing more is known, or those of any place.
create function campaign.legal_week(areas text[], wanted_channel text, wanted_purpose text)
returns int4multirange
language sql stable
as $$
    select range_intersect_agg(nearest.open_minutes)
    from unnest(case when cardinality(areas) > 0 then areas else array['*'] end) as place (area)
    cross join lateral (
        select windows.open_minutes
        from campaign.legal_windows as windows
        where windows.channel = wanted_channel
            and windows.purpose = wanted_purpose
            and windows.area in (place.area, split_part(place.area, '-', 1), '*')
        order by windows.area = place.area desc, windows.area <> '*' desc
        limit 1
    ) as nearest
$$;

-- The minute of the week that a wall clock shows.
create function campaign.week_minute(at timestamptz, zone text)
returns integer
language sql stable
as $$
    select cast(
        extract(isodow from at at time zone zone) * 1440 - 1440
        + extract(hour from at at time zone zone) * 60
        + extract(minute from at at time zone zone)
        as integer
    )
$$;

drop function campaign.next_open(timestamptz, text[], time, time);
drop function campaign.is_quiet(timestamptz, text[], time, time);

-- Whether every zone the person may be in is open (A3).
create function campaign.is_open(at timestamptz, zones text[], open_minutes int4multirange)
returns boolean
language sql stable
as $$
    select not exists (
        select from unnest(zones) as zone
        where not open_minutes @> campaign.week_minute(at, zone)
    )
$$;

-- The first moment, from `at` on, when every zone is open; null when eight days hold none. The wall clock is asked
-- minute by minute, so gaps and folds of clock changes need no rule; the series comes in order and is left at the first
-- hit.
create function campaign.next_open(at timestamptz, zones text[], open_minutes int4multirange)
returns timestamptz
language sql stable
as $$
    select scan.moment
    from (
        select
            case when step.minute = 0 then at else date_trunc('minute', at) + make_interval(mins => step.minute) end
                as moment
        from (select generate_series(0, 11520) as minute) as step
    ) as scan
    where not exists (
        select from unnest(zones) as zone
        where not open_minutes @> campaign.week_minute(scan.moment, zone)
    )
    limit 1
$$;

-- The first moment, from `at` on, when some zone is not open; null when eight days hold none.
create function campaign.next_quiet(at timestamptz, zones text[], open_minutes int4multirange)
returns timestamptz
language sql stable
as $$
    select scan.moment
    from (
        select
            case when step.minute = 0 then at else date_trunc('minute', at) + make_interval(mins => step.minute) end
                as moment
        from (select generate_series(0, 11520) as minute) as step
    ) as scan
    where exists (
        select from unnest(zones) as zone
        where not open_minutes @> campaign.week_minute(scan.moment, zone)
    )
    limit 1
$$;

-- What a message was for, noted when it left: messages of purpose transactional use up no cap.
alter table campaign.sends add column purpose text;
