/*
A guest nobody has claimed is a customer, described by the newest checkout.

owner: engineering
grain: one row per guest who is not an alias
params:
  load_id: bigint - the load
*/
with newest as (
    select distinct on (checkouts.guest_id)
        checkouts.guest_id,
        checkouts.email,
        checkouts.first_name,
        checkouts.last_name,
        checkouts.language,
        checkouts.country
    from core.checkouts
    inner join (
        select distinct customer_id as guest_id
        from checked
        where verdict = 'accepted' and starts_with(customer_id, 'guest:')
    ) as touched using (guest_id)
    where not exists (select from core.aliases where aliases.alias_id = checkouts.guest_id)
    order by checkouts.guest_id, checkouts.updated_at desc, checkouts.checkout_id desc
)

insert into core.customers (
    customer_id, email, first_name, last_name, language, country, is_bare, load_id
)
select
    guest_id,
    email,
    first_name,
    last_name,
    language,
    country,
    true,
    cast(:load_id as bigint)
from newest
order by guest_id
on conflict (customer_id) do update
set
    email = excluded.email,
    first_name = excluded.first_name,
    last_name = excluded.last_name,
    language = excluded.language,
    country = excluded.country,
    contact_derived_at = null,
    load_id = excluded.load_id
where
    (
        customers.email,
        customers.first_name,
        customers.last_name,
        customers.language,
        customers.country
    )
    is distinct from
    (excluded.email, excluded.first_name, excluded.last_name, excluded.language, excluded.country)
