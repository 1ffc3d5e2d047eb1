-- The next open and the next quiet moment, hour by hour first: an audience in many time zones asked the wall clocks up
-- to 720 times for each of them in every claim.

-- The minutes of the week that a wall clock shows in the hour from `at` on; null where they do not follow each other:
-- the clock is changed, or the week ends.
create function campaign.week_hour(at timestamptz, zone text)
returns int4range
language sql stable
as $$
    select case when shown.until - shown.since = 60 then int4range(shown.since, shown.until) end
    from (
        select
            campaign.week_minute(at, zone) as since,
            campaign.week_minute(at + interval '1 hour', zone) as until
        offset 0  -- or each clock would be asked again wherever it is named
    ) as shown
$$;

-- The first moment, from `at` on, when every zone is open; null when eight days hold none. An hour in which some zone is
-- closed throughout is passed over; in any other the wall clock is asked minute by minute, so gaps and folds of clock
-- changes need no rule. Both series come in order and are left at the first hit.
create or replace function campaign.next_open(at timestamptz, zones text[], open_minutes int4multirange)
returns timestamptz
language sql stable
as $$
    select scan.moment
    from (
        select case when step.minute = 0 then at else date_trunc('minute', at) + make_interval(mins => step.minute) end
                as moment
        from (
            select hours.minute + generate_series(0, 59) as minute
            from (select generate_series(0, 11520, 60) as minute) as hours
            where not exists (
                select from unnest(zones) as zone
                where not open_minutes && campaign.week_hour(at + make_interval(mins => hours.minute), zone)
            )
        ) as step
        where step.minute <= 11520
    ) as scan
    where not exists (
        select from unnest(zones) as zone
        where not open_minutes @> campaign.week_minute(scan.moment, zone)
    )
    limit 1
$$;

-- The first moment, from `at` on, when some zone is not open; null when eight days hold none. An hour in which every
-- zone is open throughout is passed over.
create or replace function campaign.next_quiet(at timestamptz, zones text[], open_minutes int4multirange)
returns timestamptz
language sql stable
as $$
    select scan.moment
    from (
        select case when step.minute = 0 then at else date_trunc('minute', at) + make_interval(mins => step.minute) end
                as moment
        from (
            select hours.minute + generate_series(0, 59) as minute
            from (select generate_series(0, 11520, 60) as minute) as hours
            where exists (
                select from unnest(zones) as zone
                where not coalesce(
                    open_minutes @> campaign.week_hour(at + make_interval(mins => hours.minute), zone), false
                )
            )
        ) as step
        where step.minute <= 11520
    ) as scan
    where exists (
        select from unnest(zones) as zone
        where not open_minutes @> campaign.week_minute(scan.moment, zone)
    )
    limit 1
$$;
