/*
Who was looked at again because their purchase days changed; gone at the end of the transaction.

owner: engineering
params:
  customer_ids: text[] - who
*/
create temporary table looked_at on commit drop as
select distinct coalesce(aliases.customer_id, given.customer_id) as person_id
from unnest(cast(:customer_ids as text[])) as given (customer_id)
left join core.aliases on aliases.alias_id = given.customer_id
