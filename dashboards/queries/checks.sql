/*
What was expected of the newest and of all held deliveries, and what was seen, without any value of a row.

owner: evaluation
grain: one row per delivery and expectation
returns:
  source: text - the source
  entity: text - what it delivers
  expectation: text - what was expected
  column_name: text nullable - of which column
  outcome: text - failed, warned, passed, or not_enough_history
  observed: text nullable - a count, share or age
  expected: text nullable - the bound
*/
select source, entity, expectation, column_name, outcome, observed, expected
from evaluation.validations
order by outcome, source, entity, expectation, column_name
