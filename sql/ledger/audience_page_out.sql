/*
The next page of people to take out of an audience, as the platform knows them.

owner: engineering
grain: one row per person
params:
  platform: text - the ad platform
  audience: text - the audience
  campaign: text - the campaign
  page: int - how many at most
returns:
  customer_id: text unique - who
  identity: text - what the platform knows them by
*/
select customer_id, identity
from campaign.audience_members
where
    platform = cast(:platform as text)
    and audience = cast(:audience as text)
    and campaign = cast(:campaign as text)
    and (desired <> applied or contact_sha256 is distinct from applied_contact_sha256)
    and applied
order by customer_id
limit cast(:page as int)
