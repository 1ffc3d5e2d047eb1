/*
Mark who of the people belongs into an audience now; a changed contact makes a new member of the same person.

Reads the temporary tables audience_people, audience_untold and eligible. A campaign's runs take turns, and only they
put people in: an insert that looks out for others' rows takes half as long again.

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
with belonging as materialized (
    select
        audience_people.person_id,
        campaign.contact_sha256(
            cast(:platform as text), audience_people.email_canonical, audience_people.phone_e164,
            audience_people.first_name, audience_people.last_name, audience_people.country
        ) as contact_sha256
    from audience_people
    inner join eligible
        on eligible.person_id = audience_people.person_id
        and eligible.channel = cast(:platform as text)
    where
        eligible.viable
        and not exists (
            select from audience_untold as untold
            where untold.person_id = audience_people.person_id
        )
),

changed as (
    update campaign.audience_members as members
    set
        desired = true,
        reason = null,
        desired_at = cast(:as_of as timestamptz),
        contact_sha256 = belonging.contact_sha256,
        refused = null
    from belonging
    where
        members.platform = cast(:platform as text)
        and members.audience = cast(:audience as text)
        and members.campaign = cast(:campaign as text)
        and members.customer_id = belonging.person_id
        and (not members.desired or members.contact_sha256 is distinct from belonging.contact_sha256)
    returning members.customer_id
),

joined as (
    insert into campaign.audience_members (
        platform, audience, campaign, customer_id, desired, desired_at, contact_sha256
    )
    select
        cast(:platform as text), cast(:audience as text), cast(:campaign as text), belonging.person_id, true,
        cast(:as_of as timestamptz), belonging.contact_sha256
    from belonging
    where
        not exists (
            select from campaign.audience_members as known
            where
                known.platform = cast(:platform as text)
                and known.audience = cast(:audience as text)
                and known.campaign = cast(:campaign as text)
                and known.customer_id = belonging.person_id
        )
    order by belonging.person_id
    returning customer_id
)

select (select count(*) from changed) + (select count(*) from joined) as people
