/*
Give up on what stayed in doubt: a day after the claim for email, at expiry for other channels. Never sent again.

owner: engineering
grain: one row per abandoned send
params:
  at: timestamptz nullable - simulated moment; null: the database's clock
returns:
  send_key: text unique - the row
*/
update campaign.sends
set
    state = 'abandoned',
    settled_at = clock.at
from (select coalesce(cast(:at as timestamptz), clock_timestamp()) as at) as clock
where
    state = 'unknown'
    and clock.at >= case when channel = 'email' then claimed_at + interval '24 hours' else expires_at end
returning send_key
