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
    send_key in (
        select waiting.send_key
        from campaign.sends as waiting
        where
            waiting.state in ('planned', 'retry_wait')
            and waiting.expires_at <= (select coalesce(cast(:at as timestamptz), clock_timestamp()))
            and (cast(:campaign as text) is null or waiting.campaign = cast(:campaign as text))
        -- a row that somebody decides about right now is looked at again by the next dispatch
        for no key update skip locked
    )
returning send_key
