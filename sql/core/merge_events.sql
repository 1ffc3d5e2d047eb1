/*
Store the events of a load: every line here is new or wins over what is stored (core/gate_compare).

owner: engineering
grain: one row per event
params:
  load_id: bigint - the load
*/
insert into core.events (
    event_id,
    customer_id,
    name,
    occurred_at,
    properties,
    load_id
)
select
    event_id,
    customer_id,
    name,
    occurred_at,
    properties,
    cast(:load_id as bigint)
from checked
where verdict = 'accepted' and head
order by event_id
on conflict (event_id) do update
set
    customer_id = excluded.customer_id,
    name = excluded.name,
    occurred_at = excluded.occurred_at,
    properties = excluded.properties,
    came_as = null,
    load_id = excluded.load_id
