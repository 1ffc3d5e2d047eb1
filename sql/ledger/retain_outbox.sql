/*
Delete messages of the outbox whose period is over; one of a message in doubt stays.

owner: engineering
grain: one row
params:
  before: timestamptz - what came before this moment goes
  at_most: int - rows of one batch
returns:
  deleted: bigint - how many
*/
with old as (
    select messages.message_id
    from outbox.messages
    left join campaign.sends on sends.send_key = messages.send_key
    where
        messages.received_at < cast(:before as timestamptz)
        and (sends.send_key is null or sends.state not in ('planned', 'in_flight', 'retry_wait', 'unknown'))
    order by messages.message_id
    limit cast(:at_most as int)
),

deleted as (
    delete from outbox.messages
    where message_id in (select old.message_id from old)
    returning message_id
)

select count(*) as deleted
from deleted
