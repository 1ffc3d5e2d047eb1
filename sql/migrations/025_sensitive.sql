-- What segments may not see although it is no name and no address: columns and JSON keys that the configuration calls
-- sensitive (C26), and addresses that stand in links and free values.

-- One row per column and period; `keys` is empty where the whole column is meant. Written whenever a segment is about to
-- run and reengage.yaml says something else; rows are ended, never deleted, so that it can be told who saw what, and why.
create table campaign.sensitive_columns (
    column_name text not null,                    -- entity and column, such as visits.keyword
    keys text[] not null default '{}',
    shown_because text,                           -- the reason in writing for which segments see it all the same
    recorded_at timestamptz not null default clock_timestamp(),
    ended_at timestamptz
);
create unique index sensitive_columns_in_force on campaign.sensitive_columns (column_name) where ended_at is null;

create view campaign.hidden_columns as
select column_name, keys
from campaign.sensitive_columns
where ended_at is null and shown_because is null;

-- An object, or each object of a list, without some of its keys.
create function facts.without_keys(value jsonb, keys text[]) returns jsonb
language sql immutable parallel safe
as $$
    select case
        when keys is null then value
        when jsonb_typeof(value) = 'object' then value - keys
        when jsonb_typeof(value) = 'array' then (
            select coalesce(
                jsonb_agg(
                    case when jsonb_typeof(listed.item) = 'object' then listed.item - keys else listed.item end
                    order by listed.place
                ),
                '[]'
            )
            from jsonb_array_elements(value) with ordinality as listed (item, place)
        )
        else value
    end
$$;

create or replace view facts.purchases as
select
    order_id, customer_id, purchased_at, amount, currency,
    case when cancelled_by is not null then 'cancelled' else status end as status,
    case
        when not exists (select from campaign.hidden_columns where column_name = 'purchases.coupon_code')
            then coupon_code
    end as coupon_code,
    case
        when not exists (
            select from campaign.hidden_columns where column_name = 'purchases.items' and keys = '{}'
        )
            then facts.without_keys(
                items, (select hidden.keys from campaign.hidden_columns as hidden where column_name = 'purchases.items')
            )
    end as items,
    updated_at
from core.purchases;

create or replace view facts.checkouts as
select
    checkout_id, customer_id, visitor_id, status,
    case
        when not exists (select from campaign.hidden_columns where column_name = 'checkouts.failure_reason')
            then failure_reason
    end as failure_reason,
    amount, currency, language, country,
    case
        when not exists (
            select from campaign.hidden_columns where column_name = 'checkouts.items' and keys = '{}'
        )
            then facts.without_keys(
                items, (select hidden.keys from campaign.hidden_columns as hidden where column_name = 'checkouts.items')
            )
    end as items,
    case
        when not exists (select from campaign.hidden_columns where column_name = 'checkouts.coupon_code')
            then coupon_code
    end as coupon_code,
    opened_at, updated_at
from core.checkouts;

create or replace view facts.events as
select
    event_id, customer_id, name, occurred_at,
    case
        when not exists (
            select from campaign.hidden_columns where column_name = 'events.properties' and keys = '{}'
        )
            then facts.without_keys(
                properties,
                (select hidden.keys from campaign.hidden_columns as hidden where column_name = 'events.properties')
            )
    end as properties
from core.events;

create or replace view facts.ads as
select
    ad_id, updated_at,
    case
        when not exists (select from campaign.hidden_columns where column_name = 'ads.campaign_name')
            then campaign_name
    end as campaign_name,
    bot_id, status
from core.ads;

create or replace view facts.visits as
select
    visit_id, session_id, visitor_id, customer_id,
    case
        when not exists (select from campaign.hidden_columns where column_name = 'visits.page_url') then page_url
    end as page_url,
    case
        when not exists (select from campaign.hidden_columns where column_name = 'visits.previous_url')
            then previous_url
    end as previous_url,
    case
        when not exists (select from campaign.hidden_columns where column_name = 'visits.referrer') then referrer
    end as referrer,
    case
        when not exists (select from campaign.hidden_columns where column_name = 'visits.keyword') then keyword
    end as keyword,
    source_type,
    case
        when not exists (select from campaign.hidden_columns where column_name = 'visits.city') then city
    end as city,
    country, language, device, window_width, window_height, visit_number,
    case
        when not exists (
            select from campaign.hidden_columns where column_name = 'visits.custom' and keys = '{}'
        )
            then facts.without_keys(
                custom, (select hidden.keys from campaign.hidden_columns as hidden where column_name = 'visits.custom')
            )
    end as custom,
    viewed_at, left_at
from core.visits;

-- Emails in a text, whatever stands around them, become [email].
create function raw.without_emails(said text) returns text
language sql immutable parallel safe
as $$
    select case
        when said ~* '@|%40'
            then regexp_replace(
                said, '[^][[:space:]"''<>(){}|\\/?&=#;,:]+(@|%40|%2540)[[:alnum:].-]+\.[[:alpha:]]{2,}', '[email]', 'gi'
            )
        else said
    end
$$;

-- The same in JSON. What begins an escape is no part of an email, or the text would be no JSON any more.
create function raw.json_without_emails(value jsonb) returns jsonb
language sql immutable parallel safe
as $$
    select case
        when cast(value as text) ~* '@|%40'
            then cast(
                regexp_replace(
                    cast(value as text),
                    '(?<!\\|\\u|\\u.|\\u..|\\u...)'
                    || '[^][[:space:]"''<>(){}|\\/?&=#;,:]+(@|%40|%2540)[[:alnum:].-]+\.[[:alpha:]]{2,}',
                    '[email]', 'gi'
                )
                as jsonb
            )
        else value
    end
$$;

-- A link without a login in front of the host, without phone numbers as values of its query, and without emails. A number
-- is one by its plus, or where the query says that it is one; other digits are orders and articles. Most links have no
-- such thing and are only looked at: what takes it out costs thirty times as much.
create function raw.link_without_addresses(link text) returns text
language sql immutable parallel safe
as $$
    select case
        when strpos(link, '@') = 0 and strpos(link, '=') = 0 and strpos(link, '%40') = 0 then link
        when link ~* '@|%40|=(\+|%2b)[(]?[0-9]|(phone|telefon|mobile|msisdn|whatsapp|tel)[^=&;#]*=[^&;#]{6}'
            then raw.without_emails(
                regexp_replace(
                    regexp_replace(
                        regexp_replace(link, '^([[:alpha:]][[:alnum:]+.-]*://)[^/?#]*@', '\1', 'i'),
                        '([?&;#][^=&;#]*=)(\+|%2b)[(]?[0-9]([0-9 ()/.+-]|%20|%28|%29|%2f){5,24}(?=[&;#]|$)',
                        '\1[phone]', 'gi'
                    ),
                    '([?&;#]([^=&;#]*(phone|telefon|mobile|msisdn|whatsapp)[^=&;#]*|([^=&;#]*[^[:alnum:]=&;#])?tel)=)'
                    || '(\+|%2b| |%20)?[(]?[0-9]([0-9 ()/.+-]|%20|%28|%29|%2f){5,24}(?=[&;#]|$)',
                    '\1[phone]', 'gi'
                )
            )
        else link
    end
$$;

update core.visits
set
    page_url = raw.link_without_addresses(page_url),
    previous_url = raw.link_without_addresses(previous_url),
    referrer = raw.link_without_addresses(referrer),
    keyword = raw.without_emails(keyword),
    custom = raw.json_without_emails(custom)
where (page_url, previous_url, referrer, keyword, custom) is distinct from (
    raw.link_without_addresses(page_url),
    raw.link_without_addresses(previous_url),
    raw.link_without_addresses(referrer),
    raw.without_emails(keyword),
    raw.json_without_emails(custom)
);

update core.events
set properties = raw.json_without_emails(properties)
where properties is distinct from raw.json_without_emails(properties);

update core.checkouts
set failure_reason = raw.without_emails(failure_reason)
where failure_reason is distinct from raw.without_emails(failure_reason);
