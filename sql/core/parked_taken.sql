/*
Take the parked lines of one load whose customers are known now, under that id or another.

owner: engineering
grain: one row per line
params:
  load_id: bigint - the load that brought the lines
  entity: text - their entity
returns:
  line_no: bigint - where the line stood
  raw: text - the line
  broken: text nullable - never: only lines that were read are parked
  fields: jsonb - its columns, as text
*/
with taken as (
    delete from raw.parked
    where
        parked.customer_id in (
            select customers.customer_id
            from core.customers
            union all
            select aliases.alias_id
            from core.aliases
        )
        and parked.load_id = cast(:load_id as bigint)
        and parked.entity = cast(:entity as text)
    returning parked.line_no, parked.raw, parked.fields
)

select
    line_no,
    raw,
    cast(null as text) as broken,
    fields
from taken
order by line_no
