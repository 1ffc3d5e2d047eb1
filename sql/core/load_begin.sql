/*
Open a load: the row that everything of one extract hangs on.

owner: engineering
params:
  source: text - name of the source
  entity: text - entity of the input contract
  object: text - file, bucket key, or table with its cursor range
  etag: text nullable - what tells this content from another
  incremental: boolean - false when the source delivers everything each time
  as_of: timestamptz - logical time of the run
  time_zone: text nullable - zone of timestamps without one
  options: jsonb - what the gate needs of the mapping (config/sources.py)
returns:
  load_id: bigint - its number
*/
insert into raw.loads (source, entity, object, etag, incremental, as_of, time_zone, options)
values (
    cast(:source as text), cast(:entity as text), cast(:object as text), cast(:etag as text),
    cast(:incremental as boolean), cast(:as_of as timestamptz), cast(:time_zone as text), cast(:options as jsonb)
)
returning load_id
