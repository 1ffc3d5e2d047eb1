/*
One line in quarantine as it came, personal data included.

owner: engineering
grain: one row
params:
  quarantine_id: bigint - number of the line in quarantine
returns:
  quarantine_id: bigint unique - number of the line in quarantine
  load_id: bigint - the load that brought it
  object: text - the file or range it stood in
  source: text - its source
  entity: text - its entity
  line_no: bigint - where it stood
  reason: text - reason code
  column_name: text nullable - the column at fault
  raw: text - the line
  fields: jsonb - its columns, as text
  first_seen_at: timestamptz - when it was put here
  replayed_at: timestamptz nullable - when it was replayed
  replay_load_id: bigint nullable - the load that replayed it
*/
select
    quarantine.quarantine_id,
    quarantine.load_id,
    loads.object,
    quarantine.source,
    quarantine.entity,
    quarantine.line_no,
    quarantine.reason,
    quarantine.column_name,
    quarantine.raw,
    quarantine.fields,
    quarantine.first_seen_at,
    quarantine.replayed_at,
    quarantine.replay_load_id
from raw.quarantine
inner join raw.loads using (load_id)
where quarantine.quarantine_id = cast(:quarantine_id as bigint)
