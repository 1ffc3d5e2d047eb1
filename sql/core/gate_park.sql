/*
Lines of people who have not come yet, kept until they do.

owner: engineering
grain: one row per parked line
params:
  load_id: bigint - the load
  entity: text - its entity
*/
insert into raw.parked (load_id, entity, customer_id, line_no, raw, fields)
select
    cast(:load_id as bigint),
    cast(:entity as text),
    checked.customer_id,
    checked.line_no,
    landing.raw,
    jsonb_strip_nulls(to_jsonb(landing) - cast('{load_id,line_no,raw,broken}' as text []))
from checked
inner join landing on checked.line_no = landing.line_no
where checked.verdict = 'parked'
order by checked.line_no
