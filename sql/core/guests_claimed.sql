/*
Guests whose email a customer has or ever had become an alias of that customer, the smallest id where several do.

owner: engineering
grain: one row per guest who is claimed, or claimed by a smaller id than before
params:
  as_of: timestamptz - the load's logical time
*/
with claims as (
    select
        guests.guest_id,
        customers.customer_id
    from core.guests
    inner join core.customers using (email_canonical)
    union all
    select
        guests.guest_id,
        guest_claims.customer_id
    from core.guests
    inner join core.guest_claims using (guest_id)
),

owned as (
    select
        guest_id,
        min(customer_id) as customer_id
    from claims
    where
        not starts_with(customer_id, 'guest:')
        and (
            guest_id in (select came_as_guest.guest_id from came_as_guest)
            or customer_id in (select described_customers.customer_id from described_customers)
        )
    group by guest_id
)

insert into core.aliases (alias_id, customer_id, reason, merged_at)
select
    guest_id,
    customer_id,
    'guest_email',
    cast(:as_of as timestamptz)
from owned
order by guest_id
on conflict (alias_id) do update
set customer_id = excluded.customer_id, merged_at = excluded.merged_at
where excluded.customer_id < aliases.customer_id
returning alias_id
