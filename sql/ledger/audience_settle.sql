/*
Note what became of a request. One that failed is told again: who was to leave is in, and who was to come in is not, but
for those who may be in by an earlier page.

owner: engineering
params:
  request_id: bigint - the request
  state: text - waiting, done, partial or failed
  as_of: timestamptz - decision clock
  received: bigint nullable - people the platform received
  matched: bigint nullable - people it found
  words: text - the platform's own
*/
with asked as (
    update campaign.audience_requests
    set
        state = cast(:state as text),
        asked_at = cast(:as_of as timestamptz),
        received = coalesce(cast(:received as bigint), received),
        matched = coalesce(cast(:matched as bigint), matched),
        words = cast(:words as text)
    where request_id = cast(:request_id as bigint)
    returning verb
),

settled as (
    select
        members.platform, members.audience, members.customer_id, members.campaign,
        case
            when cast(:state as text) <> 'failed' then members.applied
            else asked.verb = 'remove' or members.is_unsure
        end as is_in,
        cast(:state as text) = 'failed' and asked.verb <> 'remove' and members.is_unsure as is_unsure
    from asked
    cross join campaign.audience_members as members
    where members.request_id = cast(:request_id as bigint) and cast(:state as text) <> 'waiting'
)

update campaign.audience_members as members
set
    applied = settled.is_in,
    is_unsure = settled.is_unsure,
    identifiers = case when settled.is_in then members.identifiers end,
    applied_contact_sha256 = case when settled.is_in then members.applied_contact_sha256 end,
    request_id = null
from settled
where
    members.platform = settled.platform
    and members.audience = settled.audience
    and members.customer_id = settled.customer_id
    and members.campaign = settled.campaign
