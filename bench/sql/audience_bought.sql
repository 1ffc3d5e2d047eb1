/*
People of an audience buy something, which is noted as a load does.

owner: engineering
grain: one row per purchase
params:
  people: int - how many, from the first on
  as_of: timestamptz - when
*/
with bought as (
    insert into core.purchases (
        order_id, customer_id, purchased_at, amount, currency, status, updated_at, load_id
    )
    select
        'o' || n, 'p' || lpad(cast(n as text), 7, '0'), cast(:as_of as timestamptz), 10, 'USD', 'paid',
        cast(:as_of as timestamptz), 0
    from generate_series(1, cast(:people as int)) as n
    returning customer_id
)

insert into core.people_changed (customer_id)
select customer_id
from bought
