/*
Whoever of the people belongs into an audience of a campaign and cannot be told, with the reason: their contact cannot
be used, or it is also that of a customer who has to be out of it: who bought, withdrew or is held out. A platform knows
people by what both have, so the one would bring the other in (I14, I16).

Reads the temporary tables audience_people and eligible.

owner: engineering
params:
  platform: text - the ad platform
  audience: text - the audience
  campaign: text - the campaign
  may_add: boolean - who is out and belongs in again comes in with this look
*/
create temporary table audience_untold on commit drop as
with sharing as (
    select audience_people.person_id, others.customer_id
    from audience_people
    inner join core.customers as others on others.email_canonical = audience_people.email_canonical
    where others.customer_id <> audience_people.person_id
    union all
    select audience_people.person_id, others.customer_id
    from audience_people
    inner join core.customers as others on others.phone_e164 = audience_people.phone_e164
    where others.customer_id <> audience_people.person_id
),

kept_out as (
    select customer_id
    from campaign.audience_members
    where
        platform = cast(:platform as text)
        and audience = cast(:audience as text)
        and campaign = cast(:campaign as text)
        and not desired
        and reason in ('stop_event', 'no_consent', 'suppressed_address')
        and not (
            cast(:may_add as boolean)
            and exists (
                select from eligible
                where
                    eligible.person_id = audience_members.customer_id
                    and eligible.channel = cast(:platform as text)
                    and eligible.viable
            )
        )
    union all
    select customer_id
    from campaign.enrolments
    where campaign = cast(:campaign as text) and closed_at is null and arm = 'holdout'
    union all
    select aliases.customer_id
    from campaign.enrolments
    inner join core.aliases on aliases.alias_id = enrolments.customer_id
    where enrolments.campaign = cast(:campaign as text) and enrolments.closed_at is null and enrolments.arm = 'holdout'
),

shared as (
    select distinct sharing.person_id
    from sharing
    inner join kept_out on kept_out.customer_id = sharing.customer_id
    -- who is somebody else today is known by that one's contact
    where not exists (select from core.aliases where aliases.alias_id = sharing.customer_id)
)

select
    audience_people.person_id,
    case when eligible.viable then 'shared_contact' else coalesce(audience_people.contact_reason, 'no_address') end
        as reason
from audience_people
inner join eligible
    on eligible.person_id = audience_people.person_id
    and eligible.channel = cast(:platform as text)
left join shared on shared.person_id = audience_people.person_id
where eligible.reason = 'no_address' or (eligible.viable and shared.person_id is not null)
