/*
What a message may say of one customer.

params:
  customer_id: text - who, under any id the person is known by
returns:
  customer_id: text - the canonical id
  first_name: text nullable - as the shop knows it
  last_name: text nullable - as the shop knows it
  language: text nullable - language code
  country: text nullable - country code
*/
select customers.customer_id, customers.first_name, customers.last_name, customers.language, customers.country
from core.customers
where customers.customer_id = coalesce(
    (select aliases.customer_id from core.aliases where aliases.alias_id = :customer_id), :customer_id
)
