/*
The next page of everybody whom any campaign wants in an audience, with what their identifiers are made of.

owner: engineering
grain: one row per person
params:
  platform: text - the ad platform
  audience: text - the audience
  after: text - the last person of the page before; empty at the beginning
  page: int - how many at most
returns:
  customer_id: text unique - who
  email: text nullable - canonical email
  phone: text nullable - phone number, E.164
  first_name: text nullable - as the customer writes it
  last_name: text nullable - as the customer writes it
  country: text nullable - two letters
  contact_sha256: text - of this contact
*/
select distinct on (members.customer_id)
    members.customer_id, customers.email_canonical as email, customers.phone_e164 as phone, customers.first_name,
    customers.last_name, customers.country, members.contact_sha256
from campaign.audience_members as members
inner join core.customers on customers.customer_id = members.customer_id
where
    members.platform = cast(:platform as text)
    and members.audience = cast(:audience as text)
    and members.customer_id > cast(:after as text)
    -- said of both sides, so that whoever joins them begins where the page does
    and customers.customer_id > cast(:after as text)
    and members.desired
    and members.contact_sha256 is not null
order by members.customer_id, members.desired_at desc
limit cast(:page as int)
