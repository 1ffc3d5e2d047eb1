/*
People who did something under an id that WhatsApp knows them by, after it turned out whose it is: a row without
description, as it stays where they did it before (core/writers_gone).

owner: engineering
grain: one row per customer who was not there
params:
  as_of: timestamptz - the load's logical time
  load_id: bigint - the load
*/
insert into core.customers (customer_id, is_bare, contact_derived_at, load_id)
select distinct
    checked.customer_id,
    true,
    cast(:as_of as timestamptz),
    cast(:load_id as bigint)
from checked
inner join core.aliases on checked.customer_id = aliases.alias_id
where
    checked.verdict = 'accepted'
    and checked.head
    and aliases.reason = 'whatsapp'
order by checked.customer_id
on conflict do nothing
