/*
Record that a platform took these people out.

owner: engineering
params:
  platform: text - the ad platform
  audience: text - the audience
  campaign: text - the campaign
  as_of: timestamptz - decision clock
  customer_ids: text[] - who
*/
update campaign.audience_members
set
    applied = false,
    applied_at = cast(:as_of as timestamptz),
    applied_contact_sha256 = null,
    identity = null
where
    platform = cast(:platform as text)
    and audience = cast(:audience as text)
    and campaign = cast(:campaign as text)
    and customer_id = any(cast(:customer_ids as text[]))
