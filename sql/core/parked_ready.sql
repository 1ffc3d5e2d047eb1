/*
Loads with parked lines whose customers are known now.

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
inner join core.customers using (customer_id)
order by parked.load_id, parked.entity
