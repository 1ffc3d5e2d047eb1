/*
Delete messages of the inbox whose period after their end is over; one that a doubt is settled by stays.

owner: engineering
grain: one row
params:
  before: timestamptz - what ended before this moment goes
  at_most: int - rows of one batch
returns:
  deleted: bigint - how many
*/
with old as (
    select messages.message_id
    from campaign.inbox_messages as messages
    left join campaign.sends on sends.send_key = messages.send_key
    where
        messages.expires_at < cast(:before as timestamptz)
        and (sends.send_key is null or sends.state not in ('planned', 'in_flight', 'retry_wait', 'unknown'))
    limit cast(:at_most as int)
),

deleted as (
    delete from campaign.inbox_messages
    where message_id in (select old.message_id from old)
    returning message_id
)

select count(*) as deleted
from deleted
