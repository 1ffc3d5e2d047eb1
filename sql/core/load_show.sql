/*
One load as it stands.

owner: engineering
grain: one row
params:
  load_id: bigint - the load
returns:
  load_id: bigint unique - the load
  source: text - name of the source
  entity: text - its entity
  object: text - what was read
  incremental: boolean - false when the source delivers everything each time
  as_of: timestamptz - logical time of the run that landed it
  state: text - landed, held, merged or failed
  reason: text nullable - why it is held or failed
  released_at: timestamptz nullable - when a person released it
  lines_in: bigint - lines that came
  accepted: bigint - lines that are facts now
  duplicate: bigint - lines known before
  quarantined: bigint - lines not believed
  parked: bigint - lines that wait for their customer
  erased: bigint - lines of people who asked to be forgotten
  report: jsonb - orders, ignored columns and the like
  provider: text nullable - whose reports they are; null for facts
  reads: jsonb nullable - columns of the source by the contract column made from them; null where nothing is mapped
  is_sparse: boolean - lines leave out what they do not need
*/
select
    load_id, source, entity, object, incremental, as_of, state, reason, released_at, lines_in, accepted, duplicate,
    quarantined, parked, erased, report, options ->> 'provider' as provider, options -> 'reads' as reads,
    coalesce(cast(options ->> 'sparse' as boolean), false) as is_sparse
from raw.loads
where load_id = cast(:load_id as bigint)
