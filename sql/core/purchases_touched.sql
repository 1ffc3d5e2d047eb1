/*
Whose purchases a load changes: the customers of its orders, and those the orders belonged to before.

owner: engineering
grain: one row per customer, into the temporary table touched_customers
*/
insert into touched_customers (customer_id)
select customer_id
from checked
where verdict = 'accepted' and head
union
select stored.customer_id
from checked
inner join stored using (key)
where checked.verdict = 'accepted' and checked.head
