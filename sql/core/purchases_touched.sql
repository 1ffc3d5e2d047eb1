/*
Whose purchases a load changes, and from when on: the customers of its orders.

owner: engineering
grain: one row per customer, into the temporary table touched_customers
*/
insert into touched_customers (customer_id, since)
select
    customer_id,
    min(purchased_at)
from checked
where verdict = 'accepted' and head
group by customer_id
order by customer_id
