/*
Delete what people wrote back once its period is over; what nobody has judged yet, or what holds a person, stays.

owner: engineering
grain: one row
params:
  before: timestamptz - what came before this moment goes
  at_most: int - rows of one batch
returns:
  deleted: bigint - how many
*/
with old as (
    select replies.reply_id
    from campaign.replies
    where
        replies.received_at < cast(:before as timestamptz)
        and replies.verdict is not null
        and (replies.verdict <> 'unclear' or replies.resolved_at is not null)
        and not exists (select from campaign.reply_holds where reply_holds.reply_id = replies.reply_id)
    limit cast(:at_most as int)
),

deleted as (
    delete from campaign.replies
    where reply_id in (select old.reply_id from old)
    returning reply_id
)

select count(*) as deleted
from deleted
