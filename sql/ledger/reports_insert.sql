/*
Keep reports of providers; one that is known, or stands twice in the same body, adds nothing.

A time that lies ahead of our clock counts as now, or a withdrawal would not be in force yet.

owner: engineering
grain: one row per report that was not known
params:
  reports: jsonb - what was read from the bodies
  at: timestamptz nullable - simulated moment; null: the database's clock
returns:
  provider: text - who reports
  event_key: text - our name of the report
*/
with

clock as materialized (
    select coalesce(cast(:at as timestamptz), clock_timestamp()) as at
),

given as (
    select distinct on (report.provider, report.event_key) report.*
    from jsonb_to_recordset(cast(:reports as jsonb)) as report (
        provider text, channel text, event_key text, kind text, occurred_at timestamptz, attempt_id uuid,
        provider_message_id text, reason text, is_machine boolean, suppresses text, withdraws boolean,
        ends_token boolean, address_hmac text, billable boolean, price_category text
    )
    order by report.provider, report.event_key, report.occurred_at
)

insert into campaign.provider_events (
    provider, event_key, channel, kind, occurred_at, attempt_id, provider_message_id, reason, is_machine, suppresses,
    withdraws, ends_token, address_hmac, billable, price_category
)
select
    given.provider, given.event_key, given.channel, given.kind, least(given.occurred_at, clock.at),
    attempts.attempt_id,
    case when attempts.attempt_id is null then given.provider_message_id end,
    given.reason, given.is_machine, given.suppresses, given.withdraws, given.ends_token, given.address_hmac,
    given.billable, given.price_category
from given
cross join clock
left join campaign.attempts on attempts.attempt_id = given.attempt_id
on conflict (provider, event_key) do nothing
returning provider, event_key
