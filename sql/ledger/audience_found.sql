/*
Note what a platform calls an audience. Nobody is in one that was just made, whatever was recorded late about an earlier
one of this name.

owner: engineering
params:
  platform: text - the ad platform
  audience: text - the audience
  provider: text - who is told: the platform, or the outbox in its place
  external_id: text - what it calls the audience
  is_new: boolean - it was made just now
  is_doubtful: boolean - who is in it is not certain before it was told whole
  as_of: timestamptz - decision clock
  request_id: bigint nullable - the page it was made for
*/
with named as (
    insert into campaign.audiences (platform, audience, provider, external_id, found_at, is_doubtful)
    values (
        cast(:platform as text), cast(:audience as text), cast(:provider as text), cast(:external_id as text),
        cast(:as_of as timestamptz), cast(:is_doubtful as boolean)
    )
    on conflict (platform, audience) do update
    set
        provider = excluded.provider,
        external_id = excluded.external_id,
        found_at = excluded.found_at,
        is_doubtful = excluded.is_doubtful
),

there_again as (
    delete from campaign.deleted_audiences
    where platform = cast(:platform as text) and audience = cast(:audience as text)
)

update campaign.audience_members
set
    applied = false,
    applied_contact_sha256 = null,
    identifiers = null,
    request_id = null,
    refused = null,
    is_unsure = false
where
    platform = cast(:platform as text)
    and audience = cast(:audience as text)
    and applied
    and cast(:is_new as boolean)
    and request_id is distinct from cast(:request_id as bigint)
