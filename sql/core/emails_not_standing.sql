/*
Versions of customers that do not stand and say something else of the email than the one that does.

owner: engineering
grain: one row per customer and email as delivered
returns:
  customer_id: text - who
  email: text nullable - as delivered
  first_name: text nullable - as delivered
  last_name: text nullable - as delivered
*/
select distinct
    checked.customer_id,
    checked.email,
    checked.first_name,
    checked.last_name
from checked
inner join core.customers on checked.key = customers.customer_id
where
    checked.reason in ('older_version', 'conflicting_version')
    and (checked.email, checked.first_name, checked.last_name)
    is distinct from (customers.email, customers.first_name, customers.last_name)
