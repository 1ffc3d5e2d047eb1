/*
Delete quarantined lines whose period is over; a consent line stays while it counts as a withdrawal.

owner: engineering
grain: one row
params:
  before: timestamptz - what came before this moment goes
  at_most: int - rows of one batch
returns:
  deleted: bigint - how many
*/
with old as (
    select quarantine.quarantine_id
    from raw.quarantine
    where
        quarantine.first_seen_at < cast(:before as timestamptz)
        and not exists (
            select from core.consent_blocks where consent_blocks.quarantine_id = quarantine.quarantine_id
        )
    order by quarantine.quarantine_id
    limit cast(:at_most as int)
),

deleted as (
    delete from raw.quarantine
    where quarantine_id in (select old.quarantine_id from old)
    returning quarantine_id
)

select count(*) as deleted
from deleted
