/*
Remember that an extract could not be used as a whole; trying again changes the row instead of adding one.

owner: engineering
params:
  source: text - name of the source
  entity: text - entity of the input contract
  object: text - file, bucket key or table
  etag: text nullable - what tells this content from another
  incremental: boolean - false when the source delivers everything each time
  as_of: timestamptz - logical time of the run
  reason: text - why, without row values
returns:
  load_id: bigint - its number
*/
with known as (
    update raw.loads
    set reason = cast(:reason as text), as_of = cast(:as_of as timestamptz)
    where
        source = cast(:source as text)
        and object = cast(:object as text)
        and etag is not distinct from cast(:etag as text)
        and state = 'failed'
    returning load_id
),

fresh as (
    insert into raw.loads (source, entity, object, etag, incremental, as_of, state, reason)
    select
        cast(:source as text), cast(:entity as text), cast(:object as text), cast(:etag as text),
        cast(:incremental as boolean), cast(:as_of as timestamptz), 'failed', cast(:reason as text)
    where not exists (select from known)
    returning load_id
)

select load_id from known
union all
select load_id from fresh
