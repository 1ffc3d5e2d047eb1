/*
Record that an audience is no more at its platform: nobody is in it, and what was asked about it is over.

owner: engineering
grain: one row
params:
  platform: text - the ad platform
  audience: text - the audience
  as_of: timestamptz - decision clock
returns:
  people: bigint - how many were in it
*/
with forgotten as (
    delete from campaign.audiences
    where platform = cast(:platform as text) and audience = cast(:audience as text)
),

noted as (
    update campaign.deleted_audiences
    set deleted_at = cast(:as_of as timestamptz)
    where platform = cast(:platform as text) and audience = cast(:audience as text) and deleted_at is null
),

settled as (
    update campaign.audience_requests
    set state = 'done', asked_at = cast(:as_of as timestamptz), words = 'the audience is no more'
    where platform = cast(:platform as text) and audience = cast(:audience as text) and state = 'waiting'
),

inside as (
    select customer_id
    from campaign.audience_members
    where platform = cast(:platform as text) and audience = cast(:audience as text) and applied
),

outside as (
    update campaign.audience_members
    set
        applied = false,
        applied_at = case when applied then cast(:as_of as timestamptz) else applied_at end,
        applied_contact_sha256 = null,
        identifiers = null,
        request_id = null,
        told_in = null,
        told_identifiers = null,
        is_unsure = false,
        refused = case when desired and not applied then refused end
    where
        platform = cast(:platform as text)
        and audience = cast(:audience as text)
        and (applied or identifiers is not null or request_id is not null or told_identifiers is not null)
)

select count(distinct customer_id) as people
from inside
