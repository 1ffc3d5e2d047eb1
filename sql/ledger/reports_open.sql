/*
Open the load of one archive of reports, or of one body that came live and could not be read; it is merged at once.

owner: engineering
grain: one row
params:
  source: text - name of the source
  object: text - file, bucket key, or `live`
  etag: text nullable - what tells this content from another
  as_of: timestamptz nullable - logical time of the run; null: the database's clock
  provider: text - whose reports
returns:
  load_id: bigint unique - its number
*/
insert into raw.loads (source, entity, object, etag, incremental, as_of, options, state, merged_at)
values (
    cast(:source as text), 'reports', cast(:object as text), cast(:etag as text), true,
    coalesce(cast(:as_of as timestamptz), clock_timestamp()),
    jsonb_build_object('provider', cast(:provider as text)), 'merged', clock_timestamp()
)
returning load_id
