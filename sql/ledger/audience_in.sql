/*
Record what a platform did with people it was told to take in.

owner: engineering
params:
  platform: text - the ad platform
  audience: text - the audience
  campaign: text - the campaign
  as_of: timestamptz - decision clock
  request_id: bigint nullable - the request, where what became of it is said later
  members: jsonb - customer_id, identifiers, contact_sha256 and refused (why not, or null) of each
*/
update campaign.audience_members
set
    applied = told.refused is null,
    applied_at = case when told.refused is null then cast(:as_of as timestamptz) else applied_at end,
    applied_contact_sha256 = case when told.refused is null then told.contact_sha256 end,
    identifiers = case when told.refused is null then told.identifiers end,
    refused = told.refused,
    request_id = case when told.refused is null then cast(:request_id as bigint) end
from jsonb_to_recordset(cast(:members as jsonb)) as told (
    customer_id text, identifiers jsonb, contact_sha256 text, refused text
)
where
    audience_members.platform = cast(:platform as text)
    and audience_members.audience = cast(:audience as text)
    and audience_members.campaign = cast(:campaign as text)
    and audience_members.customer_id = told.customer_id
