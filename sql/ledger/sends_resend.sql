/*
Plan again what certainly nobody got; the claim asks every question anew before anything leaves. Whom the provider
brings no more for now waits as long as it asked for all the same (P17).

owner: engineering
grain: one row per send planned again
params:
  send_keys: text[] - rows of ledger/sends_missed
  at: timestamptz nullable - simulated moment; null: the database's clock
  wait_seconds: double precision - how long they may wait for a way to be sent
returns:
  send_key: text unique - the row
*/
update campaign.sends
set
    state = 'planned',
    reason = null,
    settled_at = null,
    not_before = greatest(
        sends.due_at,
        clock.at,
        (
            select max(attempts.decided_at + attempts.retry_after)
            from campaign.attempts
            where attempts.send_key = sends.send_key and attempts.reason = 'provider_cap'
        )
    ),
    expires_at = greatest(sends.expires_at, clock.at + make_interval(secs => cast(:wait_seconds as double precision))),
    resent_at = clock.at
from (select coalesce(cast(:at as timestamptz), clock_timestamp()) as at) as clock
where
    sends.send_key = any(cast(:send_keys as text[]))
    and sends.state in ('rejected', 'expired')
returning sends.send_key
