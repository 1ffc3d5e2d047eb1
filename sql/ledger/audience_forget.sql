/*
Forget what was told about an audience to somebody else than is told now: everybody is told anew.

owner: engineering
params:
  platform: text - the ad platform
  audience: text - the audience
  provider: text - who is told now: the platform, or the outbox in its place
*/
with forgotten as (
    delete from campaign.audiences
    where
        platform = cast(:platform as text)
        and audience = cast(:audience as text)
        and provider <> cast(:provider as text)
    returning platform, audience
),

abandoned as (
    delete from campaign.deleted_audiences as deletions
    using forgotten
    where
        deletions.platform = forgotten.platform
        and deletions.audience = forgotten.audience
        and deletions.deleted_at is null
)

update campaign.audience_members as members
set
    applied = false,
    applied_contact_sha256 = null,
    identifiers = null,
    request_id = null,
    refused = null,
    is_unsure = false
from forgotten
where members.platform = forgotten.platform and members.audience = forgotten.audience
