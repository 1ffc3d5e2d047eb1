/*
A guest nobody has claimed is a customer, described by the newest of their checkouts; by the email alone when newer
versions of all of them belong to somebody else.

owner: engineering
grain: one row per guest who is not an alias
params:
  load_id: bigint - the load
*/
with touched as (
    select
        guest_id,
        email_canonical
    from core.guests
    where
        guest_id in (select came_as_guest.guest_id from came_as_guest)
        and not exists (select from core.aliases where aliases.alias_id = guests.guest_id)
),

newest as (
    select distinct on (touched.guest_id)
        touched.guest_id,
        coalesce(checkouts.email, touched.email_canonical) as email,
        checkouts.first_name,
        checkouts.last_name,
        checkouts.language,
        checkouts.country
    from touched
    left join core.checkouts on touched.guest_id = checkouts.guest_id
    order by touched.guest_id, checkouts.updated_at desc, checkouts.checkout_id desc
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
