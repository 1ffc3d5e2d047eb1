-- How far words of our own and implied consent reach.

-- Whether WhatsApp takes words of our own for a message that leaves between two moments: each message of the person
-- opens their service window for 24 hours, outside it only approved templates leave (C15).
create function campaign.is_in_service_window(ids text[], leaves_at timestamptz, leaves_until timestamptz)
returns boolean
language sql stable
as $$
    select exists (
        select from core.conversations
        inner join core.silences on silences.conversation_id = conversations.conversation_id
        where conversations.customer_id = any(ids)
            and lower(conversations.channel) = 'whatsapp'  -- a chat on the website opens no window there
            and silences.said_at <= leaves_at
            and silences.said_at > leaves_until - interval '24 hours'
    )
$$;

-- Whether WhatsApp charges for a message that leaves between two moments: not in a free entry window of the person
-- (A2), and not for a category that is free while a service window is open.
create or replace function campaign.is_charged(
    ids text[], of_category text, leaves_at timestamptz, leaves_until timestamptz
)
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
        and campaign.is_in_service_window(ids, leaves_at, leaves_until)
    )
$$;

-- How long consent that was not expressed counts where the law says so (C7), from the configuration's table of legal
-- windows: soft_opt_in from the last paid purchase, inquiry from the inquiry. These rows hold until the table is read.
create table campaign.implied_consents (
    area text not null,                                 -- a country
    purpose text not null,
    basis text not null check (basis in ('soft_opt_in', 'inquiry')),
    months integer not null,                            -- before the day of the message, in the business zone
    primary key (area, purpose, basis)
);
insert into campaign.implied_consents (area, purpose, basis, months)
select 'CA', purposes.purpose, bases.basis, bases.months
from (values ('marketing'), ('retargeting')) as purposes (purpose)
cross join (values ('soft_opt_in', 24), ('inquiry', 6)) as bases (basis, months);

-- Whether the law of a place the person may be in says that an implied consent counts no more.
create function campaign.is_lapsed(
    ids text[], at timestamptz, wanted_purpose text, of_basis text, given_at timestamptz
)
returns boolean
language sql stable
as $$
    select exists (
        select from campaign.implied_consents as rules
        cross join campaign.database as place
        cross join lateral (
            select
                (date_trunc('day', at at time zone place.business_zone) - make_interval(months => rules.months))
                at time zone place.business_zone as begins_at
        ) as period
        where rules.basis = of_basis
            and rules.purpose = wanted_purpose
            and rules.area in (
                select split_part(areas.area, '-', 1)
                from core.customers
                cross join lateral unnest(
                    coalesce(customers.legal_areas, array[customers.country, customers.phone_country])
                ) as areas (area)
                where customers.customer_id = any(ids)
            )
            and case of_basis
                when 'inquiry' then given_at < period.begins_at
                else not exists (
                    select from core.purchases
                    where purchases.customer_id = any(ids)
                        and purchases.purchased_at between period.begins_at and at
                        and purchases.status = 'paid'
                        and purchases.cancelled_by is null
                )
            end
    )
$$;

create or replace function campaign.grants_in_force(ids text[], at timestamptz, wanted_purpose text)
returns table (channel text, basis text, consent_id text, occurred_at timestamptz)
language sql stable
as $$
    select history.channel, history.basis, history.consent_id, history.occurred_at
    from (
        select
            dated.channel, dated.status, dated.basis, dated.occurred_at, dated.expires_at, dated.consent_id,
            max(dated.occurred_at) filter (where dated.status = 'withdrawn')
                over (partition by dated.channel) as withdrawn_at
        from (
            select
                consents.channel, consents.status, consents.basis, consents.expires_at, consents.consent_id,
                least(consents.occurred_at, consents.known_at) as occurred_at
            from core.consents
            where consents.customer_id = any(ids) and consents.purpose = wanted_purpose
        ) as dated
        where dated.occurred_at <= at
    ) as history
    where history.status = 'granted'
        and (history.expires_at is null or history.expires_at > at)
        and (
            history.withdrawn_at is null
            or (history.occurred_at > history.withdrawn_at and history.basis = 'express')
        )
        and (
            history.basis = 'express'
            or not campaign.is_lapsed(ids, at, wanted_purpose, history.basis, history.occurred_at)
        )
        and not exists (
            select from core.consent_blocks as blocks
            where blocks.customer_id = any(ids) and (blocks.channel is null or blocks.channel = history.channel)
        )
        and not exists (
            select from campaign.reply_holds as holds
            where holds.customer_id = any(ids) and holds.channel = history.channel
        )
$$;
