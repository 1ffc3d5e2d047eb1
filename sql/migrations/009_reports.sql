-- What comes back: reports of providers in full, what they mean for each message, replies, and what was turned away.

alter table campaign.provider_events
    add column channel text,
    add column provider_message_id text,          -- only until the attempt is found: WhatsApp's ids hold the number
    add column reason text,
    add column is_machine boolean not null default false,
    add column suppresses text check (suppresses in ('all', 'marketing')),
    add column withdraws boolean not null default false,
    add column ends_token boolean not null default false,
    add column address_hmac text,                 -- where the report ends an address, for when no attempt tells it
    add column applied_at timestamptz;            -- its effects are in the tables; null = look at it again

create index provider_events_unapplied on campaign.provider_events (received_at) where applied_at is null;
create index provider_events_attempt on campaign.provider_events (attempt_id) where attempt_id is not null;

-- Reports may know a message by nothing but the provider's number.
create index sends_by_message on campaign.sends (provider_message_id) where provider_message_id is not null;

-- What became of a message after it was accepted: each fact once, at its earliest, whatever came in which order.
create table campaign.message_reports (
    send_key text primary key references campaign.sends on delete cascade,
    delivered_at timestamptz,
    opened_at timestamptz,                        -- by a person
    machine_opened_at timestamptz,                -- by a mail program that fetches everything
    clicked_at timestamptz,
    bounced_at timestamptz,                       -- the address is at an end
    failed_at timestamptz,                        -- this message did not arrive
    failed_reason text,
    complained_at timestamptz,
    unsubscribed_at timestamptz,
    replied_at timestamptz
);

create table campaign.replies (
    reply_id text primary key,                    -- keyed hash of the provider's id
    provider text not null,
    channel text not null,
    address_hmac text,                            -- null: the provider hides the number
    customer_id text,                             -- null: nobody has the number, or several do
    text text,                                    -- null: a picture or a place without words
    occurred_at timestamptz not null,
    received_at timestamptz not null default clock_timestamp(),
    verdict text,
    resolved_at timestamptz,
    resolution text
);
create index on campaign.replies (customer_id);
create index replies_unread on campaign.replies (received_at) where verdict is null;

-- Of a request that is forged, stale or not for us nothing is kept but that it came.
create table campaign.refused_hooks (
    hook text not null,
    reason text not null,
    day date not null,
    requests bigint not null,
    primary key (hook, reason, day)
);

-- For segments such as "got it and never opened it": one row per accepted message.
create view facts.message_reports as
select
    sends.customer_id,
    sends.campaign,
    sends.step,
    sends.variant,
    sends.channel,
    sends.accepted_at,
    reports.delivered_at,
    reports.opened_at,
    reports.machine_opened_at,
    reports.clicked_at,
    least(reports.bounced_at, reports.failed_at) as failed_at,
    reports.complained_at,
    reports.unsubscribed_at,
    reports.replied_at,
    case                                          -- by rank, so it only ever moves on
        when reports.complained_at is not null then 'complained'
        when reports.unsubscribed_at is not null then 'unsubscribed'
        when reports.replied_at is not null then 'replied'
        when reports.clicked_at is not null then 'clicked'
        when reports.opened_at is not null then 'opened'
        when coalesce(reports.bounced_at, reports.failed_at) is not null then 'failed'
        when coalesce(reports.delivered_at, reports.machine_opened_at) is not null then 'delivered'
        else 'accepted'
    end as status
from campaign.sends
left join campaign.message_reports as reports on reports.send_key = sends.send_key
where sends.accepted_at is not null;

-- Accepted messages by what providers reported of them; filled with the other measured tables.
create table evaluation.reports (
    campaign text not null,
    step text not null,
    channel text not null,
    accepted bigint not null,
    delivered bigint not null,
    opened bigint not null,                       -- by people
    machine_opened bigint not null,               -- by machines only
    clicked bigint not null,
    failed bigint not null,                       -- bounced or not delivered
    complained bigint not null,
    unsubscribed bigint not null,
    replied bigint not null,
    primary key (campaign, step, channel)
);
