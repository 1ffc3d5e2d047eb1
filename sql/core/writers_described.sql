/*
People whom nobody but WhatsApp knows: a bare customer with their newest number, or none where it is hidden. Of those
whom we have written to and who never wrote, nothing is made.

owner: engineering
grain: one row per person who is new or has another number
params:
  as_of: timestamptz - the load's logical time
  load_id: bigint - the load
*/
with themselves as (
    select touched_people.customer_id
    from touched_people
    inner join core.writers
        on touched_people.customer_id = writers.writer_id and writers.customer_id = writers.writer_id
    where
        exists (
            select
            from core.writers as names
            inner join core.messages on names.writer_id = messages.writer_id
            where
                names.customer_id = touched_people.customer_id
                and messages.direction = 'inbound'
                and messages.group_id is null
        )
),

newest as (
    select distinct on (themselves.customer_id)
        themselves.customer_id,
        numbers.phone
    from themselves
    left join core.writers as names on themselves.customer_id = names.customer_id
    left join core.writer_numbers as numbers on names.writer_id = numbers.writer_id
    order by themselves.customer_id, numbers.last_at desc nulls last, numbers.phone desc
)

insert into core.customers (customer_id, phone, is_bare, contact_derived_at, load_id)
select
    customer_id,
    phone,
    true,
    case when phone is null then cast(:as_of as timestamptz) end,  -- nothing to derive, as for any bare customer
    cast(:load_id as bigint)
from newest
order by customer_id
on conflict (customer_id) do update
set phone = excluded.phone, contact_derived_at = null
where customers.is_bare and customers.phone is distinct from excluded.phone
