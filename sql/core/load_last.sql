/*
The last load of a source that was merged: what a source that has fallen silent is measured by.

Lines that were routed again are nothing new from the source.

owner: engineering
grain: one row
params:
  source: text - name of the source
returns:
  load_id: bigint unique - the load
  as_of: timestamptz - logical time of the run that landed it
*/
select load_id, as_of
from raw.loads
where source = cast(:source as text) and state = 'merged' and options ->> 'again' is null
order by as_of desc, load_id desc
limit 1
