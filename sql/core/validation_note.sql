/*
Note the outcome of one expectation of one load: counts, shares and ages, never a value of a row.

owner: engineering
params:
  load_id: bigint - the load
  source: text - its source
  entity: text - its entity
  expectation: text - name of the expectation
  column_name: text nullable - the column it looks at
  severity: text - critical or warning
  outcome: text - passed, failed, warned or not_enough_history
  observed: text nullable - a count, share or age
  expected: text nullable - what would have passed
  as_of: timestamptz - logical time of the check
*/
insert into raw.validations (
    load_id, source, entity, expectation, column_name, severity, outcome, observed, expected, as_of
)
values (
    cast(:load_id as bigint), cast(:source as text), cast(:entity as text), cast(:expectation as text),
    cast(:column_name as text), cast(:severity as text), cast(:outcome as text), cast(:observed as text),
    cast(:expected as text), cast(:as_of as timestamptz)
)
