/*
Loads with parked lines whose customers are known now, under that id or another.

owner: engineering
grain: one row per load and entity
returns:
  load_id: bigint - the load that brought the lines
  entity: text - their entity
*/
select distinct
    parked.load_id,
    parked.entity
from raw.parked
where
    parked.customer_id in (
        select customers.customer_id
        from core.customers
        union all
        select aliases.alias_id
        from core.aliases
    )
order by parked.load_id, parked.entity
