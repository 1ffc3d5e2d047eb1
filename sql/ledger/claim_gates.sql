/*
What every channel of the campaign answers about a person whose message the claim took back, in the campaign's order:
the gates of the decision, as the next plan would write them, so that it finds nothing to change.

owner: engineering
grain: one row per send
params:
  send_keys: text[] - rows the claim suppressed
  moments: timestamptz[] - decision clock of each row
  channels: jsonb - one object per campaign and channel: purpose, bases, place, whether a zone is needed, categories
  inner_pad: bytea - key of address hashes
  outer_pad: bytea - key of address hashes
returns:
  send_key: text unique - the row
  gates: jsonb - channel, consent and answer
*/
with

channels as materialized (
    select asked.*
    from jsonb_to_recordset(cast(:channels as jsonb)) as asked (
        campaign text, purpose text, channel text, bases text[], place int, needs_zone boolean, categories text[]
    )
),

asked as (
    select
        given.send_key, channels.channel, channels.place, channels.needs_zone, reach.address, reach.is_suppressed,
        (
            select min(basis)
            from unnest(reach.bases) as basis
            where basis = any(channels.bases)
        ) as consent,
        coalesce(cardinality(customers.time_zones), 0) > 0
        and not exists (
            select from unnest(customers.time_zones) as zone
            where zone not in (select zones.name from campaign.zones)
        ) as has_zone,
        channels.channel = 'whatsapp'
        and campaign.is_undelivered(customers.phone_country, channels.categories, given.moment) as is_undelivered
    from unnest(cast(:send_keys as text[]), cast(:moments as timestamptz[])) as given (send_key, moment)
    inner join campaign.sends on sends.send_key = given.send_key
    inner join channels on channels.campaign = sends.campaign
    cross join lateral campaign.person(sends.customer_id) as person
    cross join lateral campaign.reach(
        person.customer_id, person.ids, given.moment, channels.purpose,
        cast(:inner_pad as bytea), cast(:outer_pad as bytea)
    ) as reach
    left join core.customers on customers.customer_id = person.customer_id
    where reach.channel = channels.channel
),

answered as (
    select
        send_key, channel, place, consent,
        case
            when consent is null then 'no_consent'
            when address is null then 'no_address'
            when is_suppressed then 'suppressed_address'
            when is_undelivered then 'marketing_not_delivered'
            when needs_zone and not has_zone then 'zone_unknown'
            else 'viable'
        end as answer
    from asked
)

select
    send_key,
    jsonb_agg(jsonb_build_object('channel', channel, 'consent', consent, 'answer', answer) order by place) as gates
from answered
group by send_key
