/*
Replies that read like a refusal, oldest first: what somebody has to read.

owner: engineering
grain: one row per reply
params:
  resolved: boolean - those already resolved too
  most: int nullable - no more rows than these; null: all
returns:
  reply_id: text unique - our name of the reply
  channel: text - where it came in
  occurred_at: timestamptz - when it was written
  held: bigint - people it holds
  text: text nullable - what was written
  resolution: text nullable - what was decided
  found: bigint - how many there are
*/
select
    replies.reply_id, replies.channel, replies.occurred_at,
    (
        select count(distinct reply_holds.customer_id)
        from campaign.reply_holds
        where reply_holds.reply_id = replies.reply_id
    ) as held,
    replies.text, replies.resolution,
    count(*) over () as found
from campaign.replies
where
    replies.verdict = 'unclear'
    and (cast(:resolved as boolean) or replies.resolved_at is null)
order by replies.occurred_at, replies.reply_id
limit cast(:most as int)
