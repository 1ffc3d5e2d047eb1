/*
Look into our own inbox for messages in doubt: one that is there was accepted, one that is not there when lease and call
are over never came. Noted as reports, which then settle the doubt.

owner: engineering
grain: one row per message looked up
params:
  providers: text[] - those that put messages there and drop repeats
  at: timestamptz nullable - simulated moment; null: the database's clock
  call_timeout: interval - longest call
returns:
  attempt_id: uuid unique - the attempt it is about
*/
with

doubtful as materialized (
    select
        attempts.attempt_id,
        sends.provider,
        exists (
            select from campaign.inbox_messages where inbox_messages.send_key = sends.send_key
        ) as is_there,
        sends.lease_until + cast(:call_timeout as interval) < clock_timestamp() as is_over
    from campaign.sends
    inner join campaign.attempts on attempts.send_key = sends.send_key and attempts.attempt_no = sends.attempt_no
    where sends.state = 'unknown' and sends.provider = any(cast(:providers as text[]))
)

insert into campaign.provider_events (provider, event_key, attempt_id, kind, occurred_at)
select
    provider,
    concat_ws(' ', attempt_id, case when is_there then 'accepted' else 'not_accepted' end),
    attempt_id,
    case when is_there then 'accepted' else 'not_accepted' end,
    coalesce(cast(:at as timestamptz), clock_timestamp())
from doubtful
where is_there or is_over
on conflict (provider, event_key) do nothing
returning attempt_id
