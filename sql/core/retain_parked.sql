/*
Delete parked lines whose customer has not come within the period.

owner: engineering
grain: one row
params:
  before: timestamptz - what came before this moment goes
  at_most: int - rows of one batch
returns:
  deleted: bigint - how many
*/
with old as (
    select parked_id
    from raw.parked
    where parked_at < cast(:before as timestamptz)
    order by parked_id
    limit cast(:at_most as int)
),

deleted as (
    delete from raw.parked
    where parked_id in (select old.parked_id from old)
    returning parked_id
)

select count(*) as deleted
from deleted
