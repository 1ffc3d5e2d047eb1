/*
Note what a person found out about a message in doubt, as a report of its own; reports settle doubts.

owner: engineering
grain: one row, or none when no such message is in doubt
params:
  send_key: text - the whole key
  kind: text - accepted or not_accepted
  at: timestamptz nullable - simulated moment; null: the database's clock
returns:
  attempt_id: uuid - the attempt it is about
*/
insert into campaign.provider_events (provider, event_key, attempt_id, kind, occurred_at)
select
    'operator',
    concat_ws(' ', attempts.attempt_id, cast(:kind as text)),
    attempts.attempt_id,
    cast(:kind as text),
    coalesce(cast(:at as timestamptz), clock_timestamp())
from campaign.sends
inner join campaign.attempts on attempts.send_key = sends.send_key and attempts.attempt_no = sends.attempt_no
where
    sends.send_key = cast(:send_key as text)
    and (sends.state = 'unknown' or (sends.state = 'abandoned' and cast(:kind as text) = 'accepted'))
on conflict (provider, event_key) do update set received_at = clock_timestamp()
returning attempt_id
