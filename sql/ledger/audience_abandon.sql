/*
Everyone leaves the audiences of a campaign that is no more, or over; should it come back, everybody is looked at.

owner: engineering
params:
  campaign: text - the campaign
  as_of: timestamptz - decision clock
*/
with forgotten as (
    delete from campaign.audience_looks where campaign = cast(:campaign as text)
)

update campaign.audience_members
set
    desired = false,
    reason = 'campaign_ended',
    desired_at = cast(:as_of as timestamptz),
    contact_sha256 = null
where campaign = cast(:campaign as text) and desired
