/*
Record people who are about to be told to come in: the page in audience_told. From now on they may be in, and are told
to leave by what they were told by. Who cannot be told is refused.

owner: engineering
params:
  platform: text - the ad platform
  audience: text - the audience
  campaign: text - the campaign
  as_of: timestamptz - decision clock
  request_id: bigint nullable - the request; null where nobody can be told
  first: text - the first person of the page
  last: text - the last person of the page
*/
with told as (
    select
        member ->> 0 as customer_id,
        nullif(member -> 1, 'null') as identifiers,
        member ->> 2 as contact_sha256,
        member ->> 3 as refused
    from audience_told
)

update campaign.audience_members
set
    applied = told.refused is null,
    applied_at = case when told.refused is null then cast(:as_of as timestamptz) else applied_at end,
    applied_contact_sha256 = case when told.refused is null then told.contact_sha256 end,
    identifiers = case when told.refused is null then told.identifiers end,
    refused = told.refused,
    request_id = case when told.refused is null then cast(:request_id as bigint) end
from told
where
    audience_members.platform = cast(:platform as text)
    and audience_members.audience = cast(:audience as text)
    and audience_members.campaign = cast(:campaign as text)
    -- one range of the index, whatever is known of how large the page is
    and audience_members.customer_id between cast(:first as text) and cast(:last as text)
    and audience_members.customer_id = told.customer_id
