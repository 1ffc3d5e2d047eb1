/*
Which ad audiences of a campaign a person is in, was in, or is about to join or leave.

owner: engineering
grain: one row per platform and audience
params:
  customer_id: text - as the person asking knows them
  campaign: text - the campaign
returns:
  platform: text - the ad platform
  audience: text - the audience
  desired: boolean - whether they should be in
  applied: boolean - whether they are in
  reason: text nullable - why not, or why they cannot be told
  desired_at: timestamptz - since when that is so
*/
select
    members.platform, members.audience, members.desired, members.applied,
    coalesce(members.reason, members.refused) as reason, members.desired_at
from campaign.person(cast(:customer_id as text)) as person
inner join campaign.audience_members as members
    on members.campaign = cast(:campaign as text)
    and members.customer_id = any(person.ids)
order by members.platform, members.audience
