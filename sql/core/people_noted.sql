/*
Note whose purchases or events a load changes, and whose they were before.

owner: engineering
grain: one row per customer
*/
insert into core.people_changed (customer_id)
select customer_id
from (
    select checked.customer_id from checked where checked.verdict = 'accepted'
    union
    select linked_writers.customer_id from linked_writers
    union
    select touched_customers.customer_id from touched_customers
) as people
where customer_id is not null
order by customer_id
on conflict (customer_id) do update
set changed_at = excluded.changed_at
