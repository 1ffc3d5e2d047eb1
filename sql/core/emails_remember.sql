/*
Customers whose email has changed claim the guest of every email they ever had, the one they have included. A version
without an email is a change as well, or what is remembered would hang on which version came first.

owner: engineering
grain: one row per guest and customer who did not claim them before
params:
  inner_pad: bytea - key of address hashes
  outer_pad: bytea - key of address hashes
*/
insert into core.guest_claims (guest_id, customer_id)
select distinct
    'guest:' || campaign.keyed_hash(cast(:inner_pad as bytea), cast(:outer_pad as bytea), had.email_canonical),
    customers.customer_id
from former_emails
inner join core.customers on former_emails.customer_id = customers.customer_id
cross join lateral (values (former_emails.email_canonical), (customers.email_canonical)) as had (email_canonical)
where
    former_emails.email_canonical is distinct from customers.email_canonical
    and had.email_canonical is not null
on conflict do nothing
