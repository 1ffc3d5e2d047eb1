/*
Let reports that end an address take effect on everybody who has it, or wrote to WhatsApp from it: withdrawals, and
devices that are gone. An address nobody has is suppressed, since its owner may come later.

owner: engineering
params:
  addresses: jsonb - provider, event_key, channel, address and WhatsApp id of each report; they stay in this statement
*/
with

reports as materialized (
    select
        given.provider, given.event_key, given.channel, given.address, given.writer_id, events.occurred_at,
        events.withdraws, events.ends_token, events.suppresses, events.attempt_id, events.address_hmac,
        coalesce(events.reason, events.kind) as reason
    from jsonb_to_recordset(cast(:addresses as jsonb)) as given (
        provider text, event_key text, channel text, address text, writer_id text
    )
    inner join campaign.provider_events as events
        on events.provider = given.provider and events.event_key = given.event_key
),

people as materialized (
    select reports.provider, reports.event_key, customers.customer_id
    from reports
    inner join core.customers on customers.email_canonical = reports.address
    where reports.channel = 'email' and reports.withdraws
    union
    select reports.provider, reports.event_key, customers.customer_id
    from reports
    inner join core.customers on customers.phone_e164 = reports.address
    where reports.channel in ('sms', 'whatsapp') and reports.withdraws
),

writers as materialized (
    select reports.provider, reports.event_key, writers.customer_id
    from reports
    inner join core.writers on writers.writer_id = reports.writer_id
    where reports.withdraws
    union
    select reports.provider, reports.event_key, writers.customer_id
    from reports
    inner join core.writer_numbers as numbers on numbers.phone = reports.address
    inner join core.writers on writers.writer_id = numbers.writer_id
    where reports.channel in ('sms', 'whatsapp') and reports.withdraws
),

whose as materialized (
    select people.provider, people.event_key, people.customer_id from people
    union
    select writers.provider, writers.event_key, writers.customer_id from writers
),

withdrawn as (
    insert into core.consents (consent_id, customer_id, channel, purpose, status, source, occurred_at)
    select
        'report:' || encode(
            sha256(convert_to(
                concat_ws('|', reports.provider, reports.event_key, purposes.purpose, whose.customer_id), 'UTF8'
            )),
            'hex'
        ),
        whose.customer_id, reports.channel, purposes.purpose, 'withdrawn', 'reported by ' || reports.provider,
        reports.occurred_at
    from reports
    inner join whose on whose.provider = reports.provider and whose.event_key = reports.event_key
    cross join (values ('marketing'), ('retargeting')) as purposes (purpose)
    on conflict (consent_id) do nothing
),

switched_off as (
    update core.push_tokens
    set active = false
    from reports
    where
        reports.ends_token
        and push_tokens.endpoint = reports.address
        and push_tokens.active
        and push_tokens.updated_at <= reports.occurred_at
)

insert into core.suppressions (address_hmac, channel, scope, reason, suppressed_at)
select distinct on (reports.address_hmac, reports.channel)
    reports.address_hmac, reports.channel, 'marketing', reports.reason, reports.occurred_at
from reports
left join people on people.provider = reports.provider and people.event_key = reports.event_key
where
    reports.withdraws
    and reports.suppresses is null
    and reports.attempt_id is null
    and reports.address_hmac is not null
    and people.customer_id is null
order by reports.address_hmac, reports.channel, reports.occurred_at
on conflict (address_hmac, channel, scope) do nothing
