-- How customers buy, over time (B12), and where people lived and what they spoke when they were enrolled.

-- What one row of core.purchase_days says about days of the business zone, so that sums of it over all rows are figures:
--
--   first    the day is a customer's first purchase day
--   again    they bought again on this day, `days` after the purchase day before
--   second   this is their second purchase day: from now on they have a rhythm
--   late     they are late by their own rhythm from this day on, as in sql/segments/lapsing_customers.sql
--   over     they bought after they had become late
--
-- Whoever is erased is taken out of `second` on that day, and is over being late.
--
-- Nothing here looks at the clock: what had not happened at a moment is left out by the day.
create function core.buying_of(
    day date, number integer, next_day date, expected_on timestamp, margin_days numeric
) returns table (what text, happened_on date, days integer)
language sql immutable parallel safe
as $$
    select found.what, found.happened_on, found.days
    from (
        select
            cast(
                expected_on + greatest(margin_days, 0) * interval '1 day' + interval '1 day' - interval '1 microsecond'
                as date
            ) as late_on
    ) as due
    cross join lateral (
        values
        ('first', case when number = 1 then day end, 0),
        ('again', next_day, next_day - day),
        ('second', case when number = 1 then next_day end, 0),
        -- whoever buys on the day on which they become late was late at its start
        ('late', case when next_day is null or next_day >= due.late_on then due.late_on end, 0),
        ('over', case when next_day >= due.late_on then next_day end, 0)
    ) as found (what, happened_on, days)
    where found.happened_on is not null
$$;

-- The sums of it by day, brought up to date with every change of purchase days in the same transaction: so figures over
-- all history cost what the history of days costs, and not that of purchases.
create table core.buying (
    what text not null,
    happened_on date not null,
    days integer not null,
    people bigint not null,
    primary key (what, happened_on, days)
);

-- At most one row: that everybody's purchase days have been summed up, by which margin, and after which first load.
-- Until then nothing is kept up to date; the next evaluation does it.
create table core.buying_filled (
    one boolean primary key default true check (one),
    margin_days numeric not null,
    days_filled_at timestamptz not null
);

-- Months of the business zone, up to the moment that was measured.
create table evaluation.buying_months (
    month date primary key,                       -- its first day
    until date not null,                          -- the last day that is in it, today where it is not over
    buyers bigint not null,                       -- people with a purchase in it
    first_buyers bigint not null,                 -- of them, people who had never bought before
    with_rhythm bigint not null,                  -- people with two purchase days or more at its end
    late bigint not null,                         -- of them, late by their own rhythm at its end
    became_late bigint not null                   -- people who became late in it
);

-- How many days lay between a purchase day of the month and the one before of the same person.
create table evaluation.buying_gaps (
    month date not null,
    days integer not null,
    purchase_days bigint not null,
    primary key (month, days)
);

-- Buyers of the month who bought again after it, by the days since their last purchase in it.
create table evaluation.bought_again (
    month date not null,
    days integer not null,
    people bigint not null,
    primary key (month, days)
);

-- The person's language and country when they were enrolled, before anything was drawn: a comparison of people held out
-- and not may be narrowed by them. '' = not known then; null: from before this was noted, where today's are taken.
alter table campaign.enrolments
add column language text,
add column country text;

-- Leads that nobody has enrolled stand where their person is today; of the erased, where they were last.
alter table campaign.erased_conversations
add column language text,
add column country text;

-- Whatever a campaign's page shows may be narrowed to a language or a country: '' = not known.
create table evaluation.places (
    campaign text not null,
    kind text not null check (kind in ('language', 'country', 'currency')),
    value text not null,
    size numeric not null,                        -- people and leads; of a currency purchases
    primary key (campaign, kind, value)
);

alter table evaluation.people
add column language text not null default '',
add column country text not null default '',
drop constraint people_pkey,
add primary key (campaign, standing, state, reason, language, country);

alter table evaluation.leads
add column language text not null default '',
add column country text not null default '',
drop constraint leads_pkey,
add primary key (campaign, milestone, last_retarget, qualified_after, language, country);

alter table evaluation.retargeted_leads
add column language text not null default '',
add column country text not null default '',
drop constraint retargeted_leads_pkey,
add primary key (campaign, retarget, milestone, language, country);

alter table evaluation.retargets_by_hour
add column language text not null default '',
add column country text not null default '',
drop constraint retargets_by_hour_pkey,
add primary key (campaign, happened_on, hour, retarget, language, country);
