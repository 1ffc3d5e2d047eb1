/*
End rows that waited too long for a way to be sent, whatever held them.

owner: engineering
grain: one row per expired send
params:
  at: timestamptz nullable - simulated moment; null: the database's clock
  campaign: text nullable - one campaign only
returns:
  send_key: text unique - the row
*/
update campaign.sends
set
    state = 'expired',
    reason = null,
    settled_at = clock.at
from (select coalesce(cast(:at as timestamptz), clock_timestamp()) as at) as clock
where
    state in ('planned', 'retry_wait')
    and expires_at <= clock.at
    and (cast(:campaign as text) is null or campaign = cast(:campaign as text))
returning send_key
