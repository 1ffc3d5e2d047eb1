/*
The newest delivery of every source and how it fared at the data gate.

owner: evaluation
grain: one row per source and entity
returns:
  source: text - the source
  entity: text - what it delivers
  state: text - landed, held, merged or failed
  as_of: timestamptz - moment of the delivery
  lines_in: bigint - lines delivered
  accepted: bigint - lines taken
  duplicate: bigint - lines known before
  quarantined: bigint - lines set aside as wrong
  parked: bigint - lines waiting for their customer
  erased: bigint - lines of people who asked to be forgotten
  checks_failed: bigint - expectations broken
  checks_warned: bigint - expectations that only warn
  checks_passed: bigint - expectations met
  checks_without_history: bigint - expectations without enough history to judge
*/
select
    source, entity, state, as_of, lines_in, accepted, duplicate, quarantined, parked, erased,
    checks_failed, checks_warned, checks_passed, checks_without_history
from evaluation.loads
order by source, entity
