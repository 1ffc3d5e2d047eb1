/*
People nobody can be written to yet: no address of any kind and no consent, with the moment they first bought.

owner: engineering
grain: one row per customer
params:
  as_of: timestamptz - only who had bought by then
returns:
  customer_id: text unique - the customer
  first_at: timestamptz - when they first bought
*/
with first_purchases as (
    select customer_id, min(purchased_at) as first_at
    from core.purchases
    where purchased_at <= cast(:as_of as timestamptz)
    group by customer_id
)

select customers.customer_id, first_purchases.first_at
from core.customers
inner join first_purchases using (customer_id)
where
    customers.email is null
    and customers.phone is null
    and not exists (select from core.push_tokens where push_tokens.customer_id = customers.customer_id)
    and not exists (select from core.consents where consents.customer_id = customers.customer_id)
order by customers.customer_id
