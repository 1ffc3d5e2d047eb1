/*
Delete the notes that somebody's consents or contact changed, also those of their deletion.

owner: engineering
grain: one row
params:
  ids: text[] - every id of theirs
returns:
  counts: jsonb - rows of each table
*/
with ways_changed as (
    delete from core.ways_changed where customer_id = any(cast(:ids as text[])) returning customer_id
)

select jsonb_build_object('core.ways_changed', count(*)) as counts
from ways_changed
