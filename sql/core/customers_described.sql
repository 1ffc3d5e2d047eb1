/*
Customers a load describes, also by versions that do not stand, who may be the ones that guests turn out to be.

owner: engineering
grain: one row per line, into the temporary table described_customers
*/
insert into described_customers (customer_id)
select customer_id
from checked
where verdict = 'accepted' or reason in ('older_version', 'conflicting_version')
