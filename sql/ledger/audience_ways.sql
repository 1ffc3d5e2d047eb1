/*
What each ad platform may be told about each of these people: consent in force and suppression.

owner: engineering
params:
  as_of: timestamptz - decision clock
  purpose: text - purpose the consent must name
  platforms: text[] - platforms of the campaign
  inner_pad: bytea - key of address hashes
  outer_pad: bytea - key of address hashes
*/
create temporary table audience_ways on commit drop as
select
    audience_people.person_id, audience_people.ids, audience_people.country, audience_people.has_contact,
    consented.channel as platform, consented.bases,
    exists (
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
cross join lateral campaign.consents_in_force(
    audience_people.ids, cast(:as_of as timestamptz), cast(:purpose as text)
) as consented
where audience_people.ended_by is null and consented.channel = any(cast(:platforms as text[]))
