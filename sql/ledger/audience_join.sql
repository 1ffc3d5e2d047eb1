/*
Mark who of the people belongs into an audience now; a changed contact makes a new member of the same person.

Reads the temporary tables audience_people and eligible.

owner: engineering
grain: one row
params:
  platform: text - the ad platform
  audience: text - the audience
  campaign: text - the campaign
  as_of: timestamptz - decision clock
returns:
  people: bigint - how many are new or changed
*/
with joined as (
    insert into campaign.audience_members as known (
        platform, audience, campaign, customer_id, desired, desired_at, contact_sha256
    )
    select
        cast(:platform as text), cast(:audience as text), cast(:campaign as text), audience_people.person_id, true,
        cast(:as_of as timestamptz), audience_people.contact_sha256
    from audience_people
    inner join eligible
        on eligible.person_id = audience_people.person_id
        and eligible.channel = cast(:platform as text)
    where eligible.viable
    order by audience_people.person_id
    on conflict (platform, audience, customer_id, campaign) do update
    set
        desired = true,
        reason = null,
        desired_at = excluded.desired_at,
        contact_sha256 = excluded.contact_sha256,
        refused = null
    where
        not known.desired
        or known.contact_sha256 is distinct from excluded.contact_sha256
    returning customer_id
)

select count(*) as people
from joined
