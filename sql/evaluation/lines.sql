/*
Lines of all loads so far, and how many of them the data gate set aside.

owner: evaluation
grain: one row
returns:
  lines_in: numeric - source lines delivered
  quarantined: numeric - of them, lines set aside as wrong
*/
select
    coalesce(sum(lines_in), 0) as lines_in,
    coalesce(sum(quarantined), 0) as quarantined
from raw.loads
