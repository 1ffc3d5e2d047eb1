/*
The next page of people to put into an audience, with the contact their identity is made of.

owner: engineering
grain: one row per person
params:
  platform: text - the ad platform
  audience: text - the audience
  campaign: text - the campaign
  page: int - how many at most
returns:
  customer_id: text unique - who
  email: text nullable - canonical email
  phone: text nullable - phone number, E.164
  contact_sha256: text - of this contact
*/
select
    members.customer_id, customers.email_canonical as email, customers.phone_e164 as phone, members.contact_sha256
from campaign.audience_members as members
inner join core.customers on customers.customer_id = members.customer_id
where
    members.platform = cast(:platform as text)
    and members.audience = cast(:audience as text)
    and members.campaign = cast(:campaign as text)
    and (members.desired <> members.applied or members.contact_sha256 is distinct from members.applied_contact_sha256)
    and members.desired
    and not members.applied
    and coalesce(customers.email_canonical, customers.phone_e164) is not null
order by members.customer_id
limit cast(:page as int)
