/*
Store the purchases of a load: every line here is new or wins over what is stored (core/gate_compare).

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
order by order_id
on conflict (order_id) do update
set
    customer_id = excluded.customer_id,
    purchased_at = excluded.purchased_at,
    amount = excluded.amount,
    currency = excluded.currency,
    status = excluded.status,
    coupon_code = excluded.coupon_code,
    items = excluded.items,
    updated_at = excluded.updated_at,
    cancels = excluded.cancels,
    came_as = null,
    load_id = excluded.load_id
