/*
Customers whose contact must be derived, because it is new or changed.

owner: engineering
grain: one row per customer
returns:
  customer_id: text unique - who
  email: text nullable - as delivered
  phone: text nullable - as delivered
  first_name: text nullable - as delivered
  last_name: text nullable - as delivered
  country: text nullable - as delivered
  region: text nullable - as delivered
  time_zone: text nullable - as delivered
*/
select
    customer_id,
    email,
    phone,
    first_name,
    last_name,
    country,
    region,
    time_zone
from core.customers
where contact_derived_at is null
order by customer_id
