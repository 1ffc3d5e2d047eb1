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
    send_key in (
        select doubtful.send_key
        from campaign.sends as doubtful
        where
            doubtful.state = 'unknown'
            and (select coalesce(cast(:at as timestamptz), clock_timestamp())) >= case
                when doubtful.channel = 'email' then doubtful.claimed_at + interval '24 hours'
                else doubtful.expires_at
            end
        -- a row that somebody settles right now, or hangs doing so, holds nobody up
        for no key update skip locked
    )
returning send_key
