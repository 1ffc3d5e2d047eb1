/*
Lines in quarantine, newest first, without anything of what stands in them.

owner: engineering
grain: one row per quarantined line
params:
  source: text nullable - only of this source
  entity: text nullable - only of this entity
  reason: text nullable - only with this reason
  replayed: boolean - those replayed already, too
  at_most: int nullable - how many rows
returns:
  quarantine_id: bigint unique - number of the line in quarantine
  load_id: bigint - the load that brought it
  source: text - its source
  entity: text - its entity
  line_no: bigint - where it stood
  reason: text - reason code
  column_name: text nullable - the column at fault
  first_seen_at: timestamptz - when it was put here
  replayed_at: timestamptz nullable - when it was replayed
  total: bigint - how many lines there are in all
*/
select
    quarantine_id,
    load_id,
    source,
    entity,
    line_no,
    reason,
    column_name,
    first_seen_at,
    replayed_at,
    count(*) over () as total
from raw.quarantine
where
    (cast(:source as text) is null or source = cast(:source as text))
    and (cast(:entity as text) is null or entity = cast(:entity as text))
    and (cast(:reason as text) is null or reason = cast(:reason as text))
    and (cast(:replayed as boolean) or replayed_at is null)
order by quarantine_id desc
limit cast(:at_most as integer)
