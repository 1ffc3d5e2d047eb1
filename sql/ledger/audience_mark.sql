/*
Note with whom a request tells the whole audience.

owner: engineering
params:
  platform: text - the ad platform
  audience: text - the audience
  request_id: bigint - the request
  members: jsonb - customer_id, identifiers and contact_sha256 of each
*/
update campaign.audience_members
set
    told_in = cast(:request_id as bigint),
    told_identifiers = told.identifiers
from jsonb_to_recordset(cast(:members as jsonb)) as told (
    customer_id text, identifiers jsonb, contact_sha256 text
)
where
    audience_members.platform = cast(:platform as text)
    and audience_members.audience = cast(:audience as text)
    and audience_members.customer_id = told.customer_id
    and audience_members.contact_sha256 = told.contact_sha256
