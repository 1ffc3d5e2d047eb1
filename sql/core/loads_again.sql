/*
A load of lines that came before: the same source, zone and time as the load that brought them.

owner: engineering
grain: one row
params:
  load_id: bigint - the load that brought the lines
  object: text - why they come again
  as_of: timestamptz nullable - judge them as of this moment, when it is later
returns:
  load_id: bigint - the new load
*/
insert into raw.loads (source, entity, object, incremental, as_of, time_zone, options)
select
    source,
    entity,
    cast(:object as text),
    true,
    greatest(as_of, cast(:as_of as timestamptz)),
    time_zone,
    -- a generated key is among the kept fields; what comes again says nothing about what the source delivers
    options || '{"key": "column", "again": true}'
from raw.loads
where load_id = cast(:load_id as bigint)
returning load_id
