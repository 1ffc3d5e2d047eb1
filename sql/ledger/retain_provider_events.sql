/*
Delete what providers reported once its period is over and all of it has taken effect; what became of a message stays.

owner: engineering
grain: one row
params:
  before: timestamptz - what came before this moment goes
  at_most: int - rows of one batch
returns:
  deleted: bigint - how many
*/
with old as (
    select events.provider, events.event_key
    from campaign.provider_events as events
    left join campaign.attempts on attempts.attempt_id = events.attempt_id
    left join campaign.sends on sends.send_key = attempts.send_key
    where
        events.received_at < cast(:before as timestamptz)
        and events.settled_at is not null
        and events.applied_at is not null
        and (sends.send_key is null or sends.state not in ('planned', 'in_flight', 'retry_wait', 'unknown'))
    limit cast(:at_most as int)
),

deleted as (
    delete from campaign.provider_events as events
    using old
    where events.provider = old.provider and events.event_key = old.event_key
    returning events.event_key
)

select count(*) as deleted
from deleted
