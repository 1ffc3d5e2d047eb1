/*
Note what became of a request. One that failed is told again: who was to come in is not in, who was to leave is.

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
)

update campaign.audience_members
set
    applied = applied = (cast(:state as text) <> 'failed'),
    identifiers = case when applied = (cast(:state as text) <> 'failed') then identifiers end,
    applied_contact_sha256 = case when applied = (cast(:state as text) <> 'failed') then applied_contact_sha256 end,
    request_id = null
where request_id = cast(:request_id as bigint) and cast(:state as text) <> 'waiting'
