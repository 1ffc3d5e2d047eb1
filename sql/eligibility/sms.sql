/*
Who may get a text message: consent on an accepted basis and a phone number that can be read (B5).

Reads the temporary table `ways` (ledger/plan_ways), which answers as campaign.reach() does for the claim.

owner: engineering
grain: one row per person
params:
  bases: text[] - consent bases the campaign accepts here (A21)
  needs_zone: boolean - the campaign has quiet hours and assumes no zone
returns:
  person_id: text unique - who
  viable: boolean - may we
  reason: text nullable - why not
  consent: text nullable - the accepted basis in force
*/
with asked as (
    select
        person_id, has_address, is_suppressed, has_zone,
        (
            select min(basis)
            from unnest(bases) as basis
            where basis = any(cast(:bases as text[]))
        ) as consent
    from ways
    where channel = 'sms'
),

answered as (
    select
        person_id, consent,
        case
            when consent is null then 'no_consent'
            when not has_address then 'no_address'
            when is_suppressed then 'suppressed_address'
            when cast(:needs_zone as boolean) and not has_zone then 'zone_unknown'
        end as reason
    from asked
)

select person_id, reason is null as viable, reason, consent
from answered
