/*
Store the purchases of a load none of which is known yet (core/gate_compare).

owner: engineering
grain: one row per purchase
params:
  load_id: bigint - the load
*/
insert into core.purchases (
    order_id,
    customer_id,
    purchased_at,
    amount,
    currency,
    status,
    coupon_code,
    items,
    updated_at,
    cancels,
    load_id
)
select
    order_id,
    customer_id,
    purchased_at,
    amount,
    currency,
    status,
    coupon_code,
    items,
    updated_at,
    cancels,
    cast(:load_id as bigint)
from checked
where verdict = 'accepted' and head
-- the one index whose entries lie anywhere is met from left to right
order by customer_id
