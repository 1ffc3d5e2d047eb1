/*
Customers a load describes, who may be the ones that guests turn out to be.

owner: engineering
grain: one row per customer, into the temporary table described_customers
*/
insert into described_customers (customer_id)
select customer_id
from checked
where verdict = 'accepted'
