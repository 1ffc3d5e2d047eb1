/*
Delete messages that came live and that no load has brought in within the period.

owner: engineering
grain: one row
params:
  before: timestamptz - what came before this moment goes
  at_most: int - rows of one batch
returns:
  deleted: bigint - how many
*/
with old as (
    select received_id
    from raw.received_messages
    where received_at < cast(:before as timestamptz)
    order by received_id
    limit cast(:at_most as int)
    for update skip locked
),

deleted as (
    delete from raw.received_messages
    where received_id in (select old.received_id from old)
    returning received_id
)

select count(*) as deleted
from deleted
