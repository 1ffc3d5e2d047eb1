/*
Lines about people who asked to be forgotten: nothing of them is kept, not even in quarantine.

owner: engineering
grain: updates one row per line
params:
  lines: bigint[] - where they stand in the load
*/
update checked
set verdict = 'erased', reason = null, column_name = null
where line_no = any(cast(:lines as bigint[]))
