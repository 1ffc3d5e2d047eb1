/*
How each of the people could be reached: consent in force, address and suppression per channel.

The same answers as campaign.reach() gives the claim about one person, by sets for everybody: a test holds the two
equal. Reads the temporary tables people, people_ids and consented.

owner: engineering
params:
  as_of: timestamptz - decision clock
  purpose: text - purpose the consent must name
  channels: text[] - channels of the campaign
  inner_pad: bytea - key of address hashes
  outer_pad: bytea - key of address hashes
  categories: text[] - what WhatsApp charges the campaign's messages by; one that it delivers is enough
*/
create temporary table ways on commit drop as
with asked as not materialized (
    select
        cast(:as_of as timestamptz) as moment,
        cast(:purpose as text) as purpose,
        cast(:channels as text[]) as channels
),

newest_devices as (
    select distinct on (people_ids.person_id, tokens.channel)
        people_ids.person_id, tokens.channel, push_tokens.endpoint
    from people_ids
    inner join core.push_tokens on people_ids.customer_id = push_tokens.customer_id
    inner join (values ('push'), ('webpush')) as tokens (channel)
        on (push_tokens.platform = 'webpush') = (tokens.channel = 'webpush')
    where push_tokens.active
    order by people_ids.person_id, tokens.channel, push_tokens.updated_at desc, push_tokens.token_id
),

addresses as (
    select people.person_id, written.channel, written.address
    from people
    inner join core.customers on people.person_id = customers.customer_id
    cross join lateral (
        values ('email', customers.email_canonical),
        ('sms', customers.phone_e164),
        ('whatsapp', customers.phone_e164)
    ) as written (channel, address)
    union all
    select people.person_id, 'inbox', people.person_id as address
    from people
    union all
    select people.person_id, tokens.channel, newest_devices.endpoint
    from people
    cross join (values ('push'), ('webpush')) as tokens (channel)
    left join newest_devices
        on people.person_id = newest_devices.person_id and tokens.channel = newest_devices.channel
),

wanted as materialized (
    select addresses.*
    from addresses
    cross join asked
    where addresses.channel = any(asked.channels)
),

-- somebody's own word to stop ends with their next express grant (sms, whatsapp); what a provider says does not
suppressed as materialized (
    select distinct wanted.person_id, wanted.channel
    from wanted
    cross join asked
    inner join core.suppressions
        on
            wanted.channel = suppressions.channel
            and campaign.keyed_hash(cast(:inner_pad as bytea), cast(:outer_pad as bytea), wanted.address)
            = suppressions.address_hmac
    where
        (
            suppressions.scope in ('all', asked.purpose)
            or (suppressions.scope = 'marketing' and asked.purpose = 'retargeting')
        )
        and not (
            suppressions.reason = 'stop_word'
            and exists (
                select from people_ids
                inner join core.consents on people_ids.customer_id = consents.customer_id
                where
                    people_ids.person_id = wanted.person_id
                    and consents.channel = wanted.channel
                    and consents.purpose = asked.purpose
                    and consents.status = 'granted'
                    and consents.basis = 'express'
                    and least(consents.occurred_at, consents.known_at) > suppressions.suppressed_at
                    and least(consents.occurred_at, consents.known_at) <= asked.moment
            )
        )
),

-- Countries that get none of the campaign's WhatsApp messages (C17).
undelivered as materialized (
    select countries.country
    from (select distinct country from campaign.whatsapp_undelivered) as countries
    where campaign.is_undelivered(countries.country, cast(:categories as text[]), cast(:as_of as timestamptz))
)

select
    people.person_id, people.has_zone, wanted.channel, coalesce(consented.bases, '{}') as bases,
    wanted.address is not null as has_address, suppressed.person_id is not null as is_suppressed,
    wanted.channel = 'whatsapp'
    and coalesce(people.phone_country in (select undelivered.country from undelivered), false) as is_undelivered
from people
inner join wanted on people.person_id = wanted.person_id
left join consented on wanted.person_id = consented.person_id and wanted.channel = consented.channel
left join suppressed on wanted.person_id = suppressed.person_id and wanted.channel = suppressed.channel
