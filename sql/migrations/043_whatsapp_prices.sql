-- What WhatsApp charges for a message, and where it delivers no templates of a category.

-- The country of the number (ISO 3166), which prices go by; null: no number, or one of a service of no country.
-- Null as well until the contact is derived again.
alter table core.customers add column phone_country text;
update core.customers set contact_derived_at = null where contact_derived_at is not null and phone_e164 is not null;

-- From the configuration's table, read again when it changes.
create table campaign.whatsapp_prices (
    place text not null,                                -- a country, or '*': all others
    category text not null,
    valid_from date not null,                           -- business zone
    nearness integer not null,                          -- the country's own 1, its region's 2, '*' 3: the least counts
    currency text not null,
    price numeric not null,                             -- of one delivered message
    is_example boolean not null,                        -- made up: simulated databases only
    primary key (place, category, valid_from, nearness)
);
create table campaign.whatsapp_free (
    category text primary key,                          -- costs nothing within 24 hours of the person's last message
    until timestamptz not null                          -- charged from this moment on
);
create table campaign.whatsapp_undelivered (
    country text not null,
    category text not null,
    since timestamptz not null,
    primary key (country, category)
);
create table campaign.whatsapp_source (
    one boolean primary key default true check (one),
    sha256 text not null,
    loaded_at timestamptz not null default clock_timestamp()
);

-- The price of one message; no row: none is known. The nearest place that has one on that day, and its newest.
create function campaign.whatsapp_price(in_country text, of_category text, on_day date)
returns table (currency text, price numeric, is_example boolean)
language sql stable
as $$
    select prices.currency, prices.price, prices.is_example
    from campaign.whatsapp_prices as prices
    where in_country is not null
        and prices.place in (in_country, '*')
        and prices.category = of_category
        and prices.valid_from <= on_day
    order by prices.nearness, prices.valid_from desc
    limit 1
$$;

-- Whether numbers of a country get none of these categories.
create function campaign.is_undelivered(in_country text, categories text[], at timestamptz)
returns boolean
language sql stable
as $$
    select cardinality(categories) > 0
        and not exists (
            select from unnest(categories) as asked (category)
            where not exists (
                select from campaign.whatsapp_undelivered as undelivered
                where undelivered.country = in_country
                    and undelivered.category = asked.category
                    and undelivered.since <= at
            )
        )
$$;

-- Whether WhatsApp charges for a message that leaves between two moments: not in a free entry window of the person's (A2),
-- and not for a category that is free while a service window is open, which each of their messages opens for 24 hours.
create function campaign.is_charged(ids text[], of_category text, leaves_at timestamptz, leaves_until timestamptz)
returns boolean
language sql stable
as $$
    select not exists (
        select from core.conversations
        inner join core.free_windows on free_windows.conversation_id = conversations.conversation_id
        where conversations.customer_id = any(ids)
            and free_windows.opens_at <= leaves_at
            and free_windows.ends_at > leaves_until
    )
    and not (
        exists (
            select from campaign.whatsapp_free as free
            where free.category = of_category and free.until > leaves_until
        )
        and exists (
            select from core.conversations
            inner join core.silences on silences.conversation_id = conversations.conversation_id
            where conversations.customer_id = any(ids)
                and lower(conversations.channel) = 'whatsapp'  -- a chat on the website opens no window there
                and silences.said_at <= leaves_at
                and silences.said_at > leaves_until - interval '24 hours'
        )
    )
$$;

-- What a WhatsApp message is charged by, noted when it leaves: the category, and the country of its number.
alter table campaign.sends add column price_category text, add column price_country text;

-- What WhatsApp itself says it charges for and by, which counts more than what we noted.
alter table campaign.provider_events add column billable boolean, add column price_category text;
alter table campaign.message_reports add column billable boolean, add column price_category text;

-- What accepted WhatsApp messages cost; the rows of a campaign add up to its accepted WhatsApp messages.
create table evaluation.send_costs (
    campaign text not null,
    step text not null,
    sent_on date not null,                              -- business zone
    country text not null,                              -- of the number; '' = not known
    category text not null,                             -- '' = not known
    standing text not null check (standing in ('free', 'charged', 'no_price', 'not_delivered')),
    currency text not null,                             -- XXX (ISO 4217: no currency) unless charged
    is_example boolean not null,                        -- the price is made up
    sends bigint not null,
    cost numeric not null,
    primary key (campaign, step, sent_on, country, category, standing, currency, is_example)
);

-- Leads that qualified after a message, each credited to the last one sent before that (A7), by that message's day.
create table evaluation.qualified_leads (
    campaign text not null,
    step text not null,
    sent_on date not null,                              -- business zone
    leads bigint not null,
    primary key (campaign, step, sent_on)
);
