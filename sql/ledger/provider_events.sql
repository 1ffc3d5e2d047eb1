/*
Store what providers report, each report once (P12).

owner: engineering
grain: one row per new report
params:
  events: jsonb - provider, event_key, attempt_id, kind and occurred_at of each
returns:
  event_key: text - the report
*/
insert into campaign.provider_events (provider, event_key, attempt_id, kind, occurred_at)
select event.provider, event.event_key, event.attempt_id, event.kind, event.occurred_at
from jsonb_to_recordset(cast(:events as jsonb)) as event (
    provider text, event_key text, attempt_id uuid, kind text, occurred_at timestamptz
)
on conflict (provider, event_key) do nothing
returning event_key
