/*
Of whom something changed that may end an episode; gone at the end of the transaction.

owner: engineering
params:
  customer_ids: text[] - who, under any id
*/
create temporary table changed_people on commit drop as
select distinct coalesce(aliases.customer_id, given.customer_id) as person_id
from unnest(cast(:customer_ids as text[])) as given (customer_id)
left join core.aliases on aliases.alias_id = given.customer_id
