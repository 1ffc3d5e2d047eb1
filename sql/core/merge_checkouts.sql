/*
Store the checkouts of a load: every line here is new or wins over what is stored (core/gate_compare).

owner: engineering
grain: one row per checkout
params:
  load_id: bigint - the load
*/
insert into core.checkouts (
    checkout_id,
    customer_id,
    visitor_id,
    email,
    first_name,
    last_name,
    status,
    failure_reason,
    amount,
    currency,
    language,
    country,
    items,
    coupon_code,
    opened_at,
    updated_at,
    guest_id,
    load_id
)
select
    checked.checkout_id,
    coalesce(aliases.customer_id, checked.customer_id),
    checked.visitor_id,
    checked.email,
    checked.first_name,
    checked.last_name,
    checked.status,
    checked.failure_reason,
    checked.amount,
    checked.currency,
    checked.language,
    checked.country,
    checked.items,
    checked.coupon_code,
    checked.opened_at,
    checked.updated_at,
    case when starts_with(checked.customer_id, 'guest:') then checked.customer_id end,
    cast(:load_id as bigint)
from checked
left join core.aliases on checked.customer_id = aliases.alias_id
where checked.verdict = 'accepted' and checked.head
order by checked.checkout_id
on conflict (checkout_id) do update
set
    customer_id = excluded.customer_id,
    visitor_id = excluded.visitor_id,
    email = excluded.email,
    first_name = excluded.first_name,
    last_name = excluded.last_name,
    status = excluded.status,
    failure_reason = excluded.failure_reason,
    amount = excluded.amount,
    currency = excluded.currency,
    language = excluded.language,
    country = excluded.country,
    items = excluded.items,
    coupon_code = excluded.coupon_code,
    opened_at = excluded.opened_at,
    updated_at = excluded.updated_at,
    guest_id = excluded.guest_id,
    load_id = excluded.load_id
