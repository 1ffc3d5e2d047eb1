/*
Record that exactly those whom a request told are in an audience, but for whom the platform did not take. Who was told
to leave or come meanwhile is told again.

owner: engineering
params:
  platform: text - the ad platform
  audience: text - the audience
  request_id: bigint - the request
  people: int - how many it told
  external_id: text nullable - the platform's number, where it says later what became of it
  refused: jsonb - customer_id -> why, of those it did not take
  as_of: timestamptz - decision clock
*/
with request as (
    update campaign.audience_requests
    set
        people = cast(:people as int),
        external_id = cast(:external_id as text),
        state = case when cast(:external_id as text) is null then 'done' else 'waiting' end
    where request_id = cast(:request_id as bigint)
)

update campaign.audience_members
set
    applied =
    coalesce(told_in = cast(:request_id as bigint), false)
    and (cast(:refused as jsonb) ->> customer_id) is null,
    applied_at = cast(:as_of as timestamptz),
    applied_contact_sha256 = case
        when told_in = cast(:request_id as bigint) and (cast(:refused as jsonb) ->> customer_id) is null
            then contact_sha256
    end,
    identifiers = case
        when told_in = cast(:request_id as bigint) and (cast(:refused as jsonb) ->> customer_id) is null
            then told_identifiers
    end,
    told_identifiers = null,
    request_id = null,
    is_unsure = false,
    refused = case when told_in = cast(:request_id as bigint) then cast(:refused as jsonb) ->> customer_id end
where
    platform = cast(:platform as text)
    and audience = cast(:audience as text)
    and (
        applied <> coalesce(told_in = cast(:request_id as bigint), false)
        or is_unsure
        or told_in = cast(:request_id as bigint)
    )
