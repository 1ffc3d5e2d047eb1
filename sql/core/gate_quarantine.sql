/*
Keep the lines that were not believed, as they came.

owner: engineering
grain: one row per quarantined line
params:
  load_id: bigint - the load
  source: text - its source
  entity: text - its entity
*/
insert into raw.quarantine (load_id, source, entity, line_no, raw, fields, reason, column_name)
select
    cast(:load_id as bigint),
    cast(:source as text),
    cast(:entity as text),
    checked.line_no,
    landing.raw,
    jsonb_strip_nulls(to_jsonb(landing) - cast('{load_id,line_no,raw,broken}' as text [])),
    checked.reason,
    checked.column_name
from checked
inner join landing on checked.line_no = landing.line_no
where checked.verdict = 'quarantined'
order by checked.line_no
