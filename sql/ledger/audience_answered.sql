/*
Note what a platform answered to a page of people who were to come in.

owner: engineering
params:
  request_id: bigint - the request
  external_id: text nullable - the platform's number, where it says later what became of it
  state: text - waiting, done or partial
  words: text - the platform's own
  is_partial: boolean - some were not taken and nobody says who: all may be in, and are told again
  refused: jsonb - who was not taken -> why
*/
with request as (
    update campaign.audience_requests
    set external_id = cast(:external_id as text), state = cast(:state as text), words = cast(:words as text)
    where request_id = cast(:request_id as bigint)
),

answered as (
    select
        platform, audience, customer_id, campaign, cast(:refused as jsonb) ->> customer_id as refused
    from campaign.audience_members
    where
        request_id = cast(:request_id as bigint)
        and (
            cast(:is_partial as boolean)
            or is_unsure and cast(:state as text) = 'done'
            or cast(:refused as jsonb) ? customer_id
        )
)

update campaign.audience_members as members
set
    applied = answered.refused is null,
    applied_contact_sha256 = case when answered.refused is null then members.applied_contact_sha256 end,
    identifiers = case when answered.refused is null then members.identifiers end,
    refused = answered.refused,
    is_unsure = answered.refused is null and cast(:is_partial as boolean),
    request_id = case when answered.refused is null and not cast(:is_partial as boolean) then members.request_id end
from answered
where
    members.platform = answered.platform
    and members.audience = answered.audience
    and members.customer_id = answered.customer_id
    and members.campaign = answered.campaign
