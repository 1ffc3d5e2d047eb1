/*
Whose purchases a load changes: the customers of its orders.

owner: engineering
grain: one row per customer, into the temporary table touched_customers
*/
insert into touched_customers (customer_id)
select distinct customer_id
from checked
where verdict = 'accepted' and head
