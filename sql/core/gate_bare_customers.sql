/*
People known by what they did only: a row without description, so that they can be counted and chosen.

owner: engineering
grain: one row per customer who was not there
params:
  as_of: timestamptz - the load's logical time
  load_id: bigint - the load
*/
insert into core.customers (customer_id, is_bare, contact_derived_at, load_id)
select
    customer_id,
    true,
    cast(:as_of as timestamptz),
    cast(:load_id as bigint)
from checked
where
    -- older versions count, too: who is known must not hang on what came first
    (verdict in ('accepted', 'duplicate') or reason = 'conflicting_version')
    and customer_id is not null
    and customer_known is not true
    and not starts_with(customer_id, 'guest:')  -- described by their checkouts: core/guests_described
group by customer_id
order by customer_id
on conflict do nothing
