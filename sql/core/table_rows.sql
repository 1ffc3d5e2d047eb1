/*
How many rows the planner thinks a table has; none where nobody has counted yet.

owner: engineering
grain: one row
params:
  relation: text - schema and name of the table
returns:
  rows: double precision - its estimate
*/
select greatest(reltuples, 0) as rows
from pg_class
where oid = cast(cast(:relation as text) as regclass)
