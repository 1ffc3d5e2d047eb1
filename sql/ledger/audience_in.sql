/*
Record that a platform took these people in.

owner: engineering
params:
  platform: text - the ad platform
  audience: text - the audience
  campaign: text - the campaign
  as_of: timestamptz - decision clock
  members: jsonb - customer_id, identity and contact_sha256 of each
*/
update campaign.audience_members
set
    applied = true,
    applied_at = cast(:as_of as timestamptz),
    applied_contact_sha256 = told.contact_sha256,
    identity = told.identity
from jsonb_to_recordset(cast(:members as jsonb)) as told (customer_id text, identity text, contact_sha256 text)
where
    audience_members.platform = cast(:platform as text)
    and audience_members.audience = cast(:audience as text)
    and audience_members.campaign = cast(:campaign as text)
    and audience_members.customer_id = told.customer_id
