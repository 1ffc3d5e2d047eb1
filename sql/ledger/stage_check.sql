/*
Count what breaks a segment's promise; nobody is enrolled unless all but the first are zero.

A vertical bar separates the parts of a send key, so no part may hold one.

owner: engineering
grain: one row
returns:
  staged: bigint - rows that came
  without_customer: bigint - rows without a customer, or with an empty one
  repeated: bigint - rows whose customer was there already
  without_anchor: bigint - rows without a moment to count from
  without_episode: bigint - rows without an occasion, or with an empty one
  barred: bigint - rows whose customer or episode holds a vertical bar
*/
select
    count(*) as staged,
    count(*) filter (where customer_id is null or customer_id = '') as without_customer,
    count(customer_id) - count(distinct customer_id collate "C") as repeated,
    count(*) filter (where anchor_at is null) as without_anchor,
    count(*) filter (where episode is null or episode = '') as without_episode,
    count(*) filter (where customer_id like '%|%' or episode like '%|%') as barred
from pg_temp.segment_rows
