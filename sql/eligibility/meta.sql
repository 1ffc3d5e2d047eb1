/*
Whom Meta may be told about (B6): consent on an accepted basis and an email or phone number that can be read.

Reads the temporary table `audience_ways`; whoever is not in it has no consent in force for any platform.

owner: engineering
grain: one row per person with a consent for this platform
params:
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
        ) as consent
    from audience_ways
    where platform = 'meta'
),

answered as (
    select
        person_id, consent,
        case
            when consent is null then 'no_consent'
            when not has_contact then 'no_address'
            when is_suppressed then 'suppressed_address'
        end as reason
    from asked
)

select person_id, reason is null as viable, reason, consent
from answered
