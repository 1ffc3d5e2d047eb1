/*
Emails of stored customers whom a load describes anew: what stood before is remembered when it turns out to be another.

owner: engineering
grain: one row per customer, into the temporary table former_emails
*/
insert into former_emails (customer_id, email_canonical)
select
    customers.customer_id,
    customers.email_canonical
from checked
inner join core.customers on checked.key = customers.customer_id
where
    checked.verdict = 'accepted'
    and checked.head
    and not customers.is_bare
    and (checked.email, checked.first_name, checked.last_name)
    is distinct from (customers.email, customers.first_name, customers.last_name)
