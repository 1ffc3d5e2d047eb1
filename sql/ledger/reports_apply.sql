/*
Let reports take effect: facts of each message, addresses that are at an end, people who said no, devices that are gone.

One statement, so that a report is marked as applied exactly by whoever applied it; every effect may be repeated. A
report whose message is not known yet is looked at again for three days. Its address has its effects at once.

owner: engineering
grain: one row per report that needs no further look
params:
  event_keys: text[] nullable - these reports; null: every one that waits
  inner_pad: bytea - key of address hashes
  outer_pad: bytea - key of address hashes
returns:
  event_key: text - our name of the report
*/
with

waiting as materialized (
    select
        events.provider, events.event_key, events.kind, events.reason, events.is_machine, events.occurred_at,
        events.received_at, events.provider_message_id, events.suppresses, events.withdraws, events.ends_token,
        events.attempt_id, events.channel, events.address_hmac, events.billable, events.price_category
    from campaign.provider_events as events
    where
        events.applied_at is null
        and (cast(:event_keys as text[]) is null or events.event_key = any(cast(:event_keys as text[])))
    order by events.provider, events.event_key
    for update skip locked
),

reports as materialized (
    select
        waiting.provider, waiting.event_key, waiting.kind, waiting.reason, waiting.is_machine, waiting.occurred_at,
        waiting.suppresses, waiting.withdraws, waiting.ends_token, waiting.billable, waiting.price_category,
        sends.send_key, sends.customer_id,
        coalesce(attempts.channel, waiting.channel) as channel,
        coalesce(attempts.address_hmac, waiting.address_hmac) as address_hmac
    from waiting
    left join campaign.attempts on attempts.attempt_id = waiting.attempt_id
    left join campaign.sends on sends.send_key = attempts.send_key
),

facts as (
    select
        send_key,
        min(occurred_at) filter (where kind = 'delivered') as delivered_at,
        min(occurred_at) filter (where kind = 'opened' and not is_machine) as opened_at,
        min(occurred_at) filter (where kind = 'opened' and is_machine) as machine_opened_at,
        min(occurred_at) filter (where kind = 'clicked') as clicked_at,
        min(occurred_at) filter (where kind = 'bounced') as bounced_at,
        min(occurred_at) filter (where kind = 'failed') as failed_at,
        min(reason) filter (where kind = 'failed') as failed_reason,
        min(occurred_at) filter (where kind = 'complained') as complained_at,
        min(occurred_at) filter (where kind = 'unsubscribed') as unsubscribed_at,
        min(occurred_at) filter (where kind = 'replied') as replied_at,
        bool_or(billable) as billable,
        max(price_category) as price_category
    from reports
    where
        send_key is not null
        and (
            kind in ('delivered', 'opened', 'clicked', 'bounced', 'failed', 'complained', 'unsubscribed', 'replied')
            or billable is not null
        )
    group by send_key
),

kept as (
    insert into campaign.message_reports (
        send_key, delivered_at, opened_at, machine_opened_at, clicked_at, bounced_at, failed_at, failed_reason,
        complained_at, unsubscribed_at, replied_at, billable, price_category
    )
    select
        send_key, delivered_at, opened_at, machine_opened_at, clicked_at, bounced_at, failed_at, failed_reason,
        complained_at, unsubscribed_at, replied_at, billable, price_category
    from facts
    order by send_key
    on conflict (send_key) do update
    set
        delivered_at = least(message_reports.delivered_at, excluded.delivered_at),
        opened_at = least(message_reports.opened_at, excluded.opened_at),
        machine_opened_at = least(message_reports.machine_opened_at, excluded.machine_opened_at),
        clicked_at = least(message_reports.clicked_at, excluded.clicked_at),
        bounced_at = least(message_reports.bounced_at, excluded.bounced_at),
        failed_at = least(message_reports.failed_at, excluded.failed_at),
        failed_reason = least(message_reports.failed_reason, excluded.failed_reason),
        complained_at = least(message_reports.complained_at, excluded.complained_at),
        unsubscribed_at = least(message_reports.unsubscribed_at, excluded.unsubscribed_at),
        replied_at = least(message_reports.replied_at, excluded.replied_at),
        billable = greatest(message_reports.billable, excluded.billable),
        price_category = greatest(message_reports.price_category, excluded.price_category)
),

suppressed as (
    insert into core.suppressions (address_hmac, channel, scope, reason, suppressed_at)
    select distinct on (address_hmac, channel, suppresses)
        address_hmac, channel, suppresses, coalesce(reason, kind), occurred_at
    from reports
    where suppresses is not null and address_hmac is not null
    order by address_hmac, channel, suppresses, occurred_at, event_key
    on conflict (address_hmac, channel, scope) do nothing
),

-- A wish is about whom it came from under every id; marketing only, and never about what a purchase brings with it.
withdrawn as (
    insert into core.consents (consent_id, customer_id, channel, purpose, status, source, occurred_at)
    select
        'report:' || encode(
            sha256(convert_to(concat_ws('|', reports.provider, reports.event_key, purposes.purpose), 'UTF8')), 'hex'
        ),
        person.customer_id, reports.channel, purposes.purpose, 'withdrawn', 'reported by ' || reports.provider,
        reports.occurred_at
    from reports
    cross join lateral campaign.person(reports.customer_id) as person
    cross join (values ('marketing'), ('retargeting')) as purposes (purpose)
    where reports.withdraws and reports.customer_id is not null
    on conflict (consent_id) do nothing
),

-- A token that was registered again since then is alive (C21).
switched_off as (
    update core.push_tokens
    set active = false
    from reports
    cross join lateral campaign.person(reports.customer_id) as person
    where
        reports.ends_token
        and reports.customer_id is not null
        and push_tokens.customer_id = any(person.ids)
        and push_tokens.active
        and push_tokens.updated_at <= reports.occurred_at
        and (push_tokens.platform = 'webpush') = (reports.channel = 'webpush')
        and campaign.keyed_hash(
            cast(:inner_pad as bytea), cast(:outer_pad as bytea), push_tokens.endpoint
        ) = reports.address_hmac
)

update campaign.provider_events as events
set
    applied_at = clock_timestamp(),
    provider_message_id = null,
    -- one whose attempt was deleted after its period has nothing to settle any more
    settled_at = case when attempts.attempt_id is null then clock_timestamp() else events.settled_at end
from waiting
left join campaign.attempts on attempts.attempt_id = waiting.attempt_id
where
    events.provider = waiting.provider
    and events.event_key = waiting.event_key
    and (
        waiting.attempt_id is not null
        or waiting.provider_message_id is null
        or waiting.received_at < clock_timestamp() - interval '3 days'
    )
returning events.event_key
