/*
Whoever is in an audience by an address that a platform was just told to let go is told again: they may be in no longer.

Reads audience_told before it is recorded, and what was told to leave from the members. Nobody in the same
campaign shares the address of a person who has to be out: whoever did left with them (ledger/audience_untold).

owner: engineering
params:
  platform: text - the ad platform
  audience: text - the audience
  campaign: text - the campaign
*/
with let_go as materialized (
    select
        members.customer_id, members.identifiers ->> 'email' as email, members.identifiers ->> 'phone' as phone
    from audience_told
    inner join campaign.audience_members as members on members.customer_id = audience_told.member ->> 0
    left join core.customers on customers.customer_id = members.customer_id
    where
        members.platform = cast(:platform as text)
        and members.audience = cast(:audience as text)
        and members.campaign = cast(:campaign as text)
        and audience_told.member ->> 3 is null
        and not cast(audience_told.member ->> 4 as boolean)
        and members.identifiers is not null
        and (
            members.desired
            or members.reason not in ('stop_event', 'no_consent', 'suppressed_address')
            or exists (
                select from campaign.audience_uses as others
                where
                    others.platform = members.platform
                    and others.audience = members.audience
                    and others.campaign <> members.campaign
            )
            or members.applied_contact_sha256 is distinct from campaign.contact_sha256(
                cast(:platform as text), customers.email_canonical, customers.phone_e164, customers.first_name,
                customers.last_name, customers.country
            )
        )
),

-- of nobody, nobody is looked for
still_in as (
    select members.customer_id, members.campaign
    from campaign.audience_members as members
    inner join let_go on let_go.email = members.identifiers ->> 'email'
    where
        members.platform = cast(:platform as text)
        and members.audience = cast(:audience as text)
        and members.applied
        and members.desired
        and not members.is_leaving
    union
    select members.customer_id, members.campaign
    from campaign.audience_members as members
    inner join let_go on let_go.phone = members.identifiers ->> 'phone'
    where
        members.platform = cast(:platform as text)
        and members.audience = cast(:audience as text)
        and members.applied
        and members.desired
        and not members.is_leaving
)

update campaign.audience_members as members
set is_unsure = true, request_id = null
from still_in
where
    members.platform = cast(:platform as text)
    and members.audience = cast(:audience as text)
    and members.customer_id = still_in.customer_id
    and members.campaign = still_in.campaign
    -- what is on the way arrives after that
    and not exists (
        select from campaign.audience_requests as requests
        where requests.request_id = members.request_id and requests.state = 'waiting'
    )
