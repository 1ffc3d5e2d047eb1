/*
Loads of a source that wait to be checked and merged, in the order they came.

owner: engineering
grain: one row per load
params:
  source: text - name of the source
returns:
  load_id: bigint unique - the load
  entity: text - its entity
  object: text - what was read
  state: text - landed, or held by the data gate
*/
select load_id, entity, object, state
from raw.loads
where source = cast(:source as text) and state in ('landed', 'held')
order by load_id
