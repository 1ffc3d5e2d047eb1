/*
Delete attempts whose period is over: of messages that have ended, and that no report still asks for. The ledger itself
stays longer, since caps and figures are counted from it.

owner: engineering
grain: one row
params:
  before: timestamptz - what began before this moment goes
  at_most: int - rows of one batch
returns:
  deleted: bigint - how many
*/
with old as (
    select attempts.attempt_id
    from campaign.attempts
    inner join campaign.sends on sends.send_key = attempts.send_key
    where
        attempts.started_at < cast(:before as timestamptz)
        and sends.state not in ('planned', 'in_flight', 'retry_wait', 'unknown')
        and not exists (
            select from campaign.provider_events as events where events.attempt_id = attempts.attempt_id
        )
    limit cast(:at_most as int)
),

deleted as (
    delete from campaign.attempts
    where attempt_id in (select old.attempt_id from old)
    returning attempt_id
)

select count(*) as deleted
from deleted
