/*
Lines that the data gate set aside and nobody has mended yet, by what is wrong with them.

owner: evaluation
grain: one row per source, entity, reason and column
returns:
  source: text - the source
  entity: text - what it delivers
  reason: text - reason code
  column_name: text - the column the reason is about; empty for the line as a whole
  lines: bigint - lines set aside
  last_as_of: timestamptz - the newest delivery with such a line
*/
select source, entity, reason, column_name, lines, last_as_of
from evaluation.quarantined
order by lines desc, source, entity, reason, column_name
