/*
Whom Google may be told about (B6): consent on an accepted basis, the person's yes to the use of their data for ads and
to personalised ads, given with the newest grant (C18), and an email or phone number that can be read. It is asked of
everybody, wherever they live: Google is told both of each person, so each must have said both.

Reads the temporary table `audience_ways`; whoever is not in it has no consent in force for any platform.

owner: engineering
grain: one row per person with a consent for this platform
params:
  as_of: timestamptz - decision clock
  purpose: text - purpose the consent must name
  bases: text[] - consent bases the campaign accepts here (A21)
returns:
  person_id: text unique - who
  viable: boolean - may we
  reason: text nullable - why not
  consent: text nullable - the accepted basis in force
*/
with asked as (
    select
        person_id, has_contact, is_suppressed,
        (
            select min(basis)
            from unnest(bases) as basis
            where basis = any(cast(:bases as text[]))
        ) as consent,
        coalesce(
            (
                select consents.ad_user_data and consents.ad_personalization
                from core.consents
                where
                    consents.customer_id = any(audience_ways.ids)
                    and consents.channel = 'google'
                    and consents.purpose = cast(:purpose as text)
                    and consents.status = 'granted'
                    and consents.basis = any(cast(:bases as text[]))
                    and least(consents.occurred_at, consents.known_at) <= cast(:as_of as timestamptz)
                order by least(consents.occurred_at, consents.known_at) desc, consents.consent_id desc
                limit 1
            ),
            false
        ) as may_use_for_ads
    from audience_ways
    where platform = 'google'
),

answered as (
    select
        person_id, consent,
        case
            when consent is null or not may_use_for_ads then 'no_consent'
            when not has_contact then 'no_address'
            when is_suppressed then 'suppressed_address'
        end as reason
    from asked
)

select person_id, reason is null as viable, reason, consent
from answered
