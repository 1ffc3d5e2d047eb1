/*
Keep lines of reports that could not be read, whole or in part, as they came.

owner: engineering
params:
  load_id: bigint - the load
  lines: jsonb - line_no, raw and reason of each
*/
insert into raw.quarantine (load_id, source, entity, line_no, raw, fields, reason)
select loads.load_id, loads.source, loads.entity, line.line_no, line.raw, '{}', line.reason
from raw.loads
cross join jsonb_to_recordset(cast(:lines as jsonb)) as line (line_no bigint, raw text, reason text)
where loads.load_id = cast(:load_id as bigint)
order by line.line_no
