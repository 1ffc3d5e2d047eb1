/*
The next page of people who were given up since a page was told that has no answer: they may have been on it, and be in.
Nobody whom another campaign wants in.

owner: engineering
grain: one row per person
params:
  platform: text - the ad platform
  audience: text - the audience
  campaign: text - the campaign
  after: text - the last person of the page before; empty at the beginning
  page: int - how many at most
returns:
  customer_id: text unique - who
  email: text nullable - canonical email
  phone: text nullable - phone number, E.164
  first_name: text nullable - as the customer writes it
  last_name: text nullable - as the customer writes it
  country: text nullable - two letters
  contact_sha256: text nullable - nothing: they are to be out
*/
select
    members.customer_id, customers.email_canonical as email, customers.phone_e164 as phone, customers.first_name,
    customers.last_name, customers.country, members.contact_sha256
from campaign.audience_members as members
inner join core.customers on customers.customer_id = members.customer_id
where
    members.platform = cast(:platform as text)
    and members.audience = cast(:audience as text)
    and members.campaign = cast(:campaign as text)
    and members.customer_id > cast(:after as text)
    and customers.customer_id > cast(:after as text)
    and not members.desired
    and not members.applied
    and members.identifiers is null
    and members.desired_at >= (
        select min(lost.told_at)
        from campaign.audience_requests as lost
        where
            lost.platform = cast(:platform as text)
            and lost.audience = cast(:audience as text)
            and lost.campaign = cast(:campaign as text)
            and lost.state = 'waiting'
            and lost.external_id is null
            and lost.verb = 'add'
    )
    and not exists (
        select from campaign.audience_members as others
        where
            others.platform = members.platform
            and others.audience = members.audience
            and others.customer_id = members.customer_id
            and others.campaign <> members.campaign
            and others.desired
    )
order by members.customer_id
limit cast(:page as int)
