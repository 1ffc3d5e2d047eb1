/*
The customers of a history that was written straight into core.purchases.

owner: engineering
grain: one row per customer
*/
insert into core.customers (customer_id, is_bare)
select distinct on (customer_id) customer_id, true
from core.purchases
order by customer_id
