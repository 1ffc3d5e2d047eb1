/*
Record what a platform did with people it was told to let go: the page in audience_told. Whose coming in it has not
answered yet stays pending, so that they are told to leave once more after that.

owner: engineering
params:
  platform: text - the ad platform
  audience: text - the audience
  campaign: text - the campaign
  as_of: timestamptz - decision clock
  request_id: bigint nullable - the request, where what became of it is said later
  first: text - the first person of the page
  last: text - the last person of the page
*/
with page as (
    select member ->> 0 as customer_id, member ->> 3 as refused
    from audience_told
),

told as (
    select
        page.customer_id,
        page.refused,
        page.refused is not null
        or exists (
            select from campaign.audience_members as members
            inner join campaign.audience_requests as requests on requests.request_id = members.request_id
            where
                members.platform = cast(:platform as text)
                and members.audience = cast(:audience as text)
                and members.campaign = cast(:campaign as text)
                and members.customer_id = page.customer_id
                and requests.state = 'waiting'
                and requests.verb <> 'remove'
        ) as stays
    from page
)

update campaign.audience_members
set
    applied = told.stays,
    applied_at = case when told.stays then applied_at else cast(:as_of as timestamptz) end,
    applied_contact_sha256 = case when told.stays then applied_contact_sha256 end,
    identifiers = case when told.stays or cast(:request_id as bigint) is not null then identifiers end,
    refused = told.refused,
    is_unsure = told.stays and is_unsure,
    request_id = case when told.stays then audience_members.request_id else cast(:request_id as bigint) end
from told
where
    audience_members.platform = cast(:platform as text)
    and audience_members.audience = cast(:audience as text)
    and audience_members.campaign = cast(:campaign as text)
    -- one range of the index, whatever is known of how large the page is
    and audience_members.customer_id between cast(:first as text) and cast(:last as text)
    and audience_members.customer_id = told.customer_id
