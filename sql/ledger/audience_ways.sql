/*
What each ad platform may be told about each of these people: consent in force and suppression.

Reads the temporary tables audience_people and consented.

owner: engineering
params:
  purpose: text - purpose the consent must name
  inner_pad: bytea - key of address hashes
  outer_pad: bytea - key of address hashes
*/
create temporary table audience_ways on commit drop as
with suppressing as (
    select distinct channel
    from core.suppressions
    where channel in ('google', 'meta', 'tiktok')
)

select
    audience_people.person_id, audience_people.ids, audience_people.country, audience_people.has_contact,
    consented.channel as platform, consented.bases,
    -- addresses are hashed only where any is suppressed
    consented.channel in (select suppressing.channel from suppressing)
    and exists (
        select from core.suppressions
        where
            suppressions.channel = consented.channel
            and suppressions.scope in ('all', 'marketing', cast(:purpose as text))
            and suppressions.address_hmac in (
                campaign.keyed_hash(
                    cast(:inner_pad as bytea), cast(:outer_pad as bytea), audience_people.email_canonical
                ),
                campaign.keyed_hash(cast(:inner_pad as bytea), cast(:outer_pad as bytea), audience_people.phone_e164)
            )
    ) as is_suppressed
from audience_people
inner join consented on audience_people.person_id = consented.person_id
where audience_people.ended_by is null
