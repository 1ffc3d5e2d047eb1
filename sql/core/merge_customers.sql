/*
Store the described customers of a load: every line here is new or wins over what is stored (core/gate_compare).

owner: engineering
grain: one row per described customer
params:
  load_id: bigint - the load
*/
insert into core.customers (
    customer_id,
    email,
    phone,
    first_name,
    last_name,
    language,
    country,
    region,
    time_zone,
    created_at,
    updated_at,
    is_bare,
    load_id
)
select
    customer_id,
    email,
    phone,
    first_name,
    last_name,
    language,
    country,
    region,
    time_zone,
    created_at,
    updated_at,
    false,
    cast(:load_id as bigint)
from checked
where verdict = 'accepted' and head
order by customer_id
on conflict (customer_id) do update
set
    email = excluded.email,
    phone = excluded.phone,
    first_name = excluded.first_name,
    last_name = excluded.last_name,
    language = excluded.language,
    country = excluded.country,
    region = excluded.region,
    time_zone = excluded.time_zone,
    created_at = excluded.created_at,
    updated_at = excluded.updated_at,
    is_bare = false,
    -- derived again only when what it is derived from changed
    contact_derived_at = case
        when
            (
                customers.email,
                customers.phone,
                customers.first_name,
                customers.last_name,
                customers.country,
                customers.region,
                customers.time_zone
            )
            is not distinct from
            (
                excluded.email,
                excluded.phone,
                excluded.first_name,
                excluded.last_name,
                excluded.country,
                excluded.region,
                excluded.time_zone
            )
            then customers.contact_derived_at
    end,
    load_id = excluded.load_id
