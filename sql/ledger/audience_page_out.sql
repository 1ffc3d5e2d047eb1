/*
The next page of people to take out of an audience, as the platform knows them.

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
  identifiers: jsonb nullable - what the platform knows them by
  is_shared: boolean - another campaign has them in under the same contact and wants them: nothing is told
*/
select
    members.customer_id, members.identifiers,
    exists (
        select from campaign.audience_members as others
        where
            others.platform = members.platform
            and others.audience = members.audience
            and others.customer_id = members.customer_id
            and others.campaign <> members.campaign
            and others.desired
            and others.applied
            and others.applied_contact_sha256 = members.applied_contact_sha256
    ) as is_shared
from campaign.audience_members as members
where
    members.platform = cast(:platform as text)
    and members.audience = cast(:audience as text)
    and members.campaign = cast(:campaign as text)
    and members.customer_id > cast(:after as text)
    and members.is_pending
    and members.is_leaving
order by members.customer_id
limit cast(:page as int)
