/*
How each of the people could be reached: consent in force, address and suppression per channel.

The same answers as campaign.reach() gives the claim about one person, by sets for everybody: a test holds the two
equal. Reads the temporary tables people and people_ids.

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

-- what anybody ever said under any id they had; what is dated ahead counts from the day it was heard
said as materialized (
    select
        people_ids.person_id, consents.channel, consents.status, consents.basis, consents.expires_at,
        least(consents.occurred_at, consents.known_at) as occurred_at
    from people_ids
    inner join core.consents on people_ids.customer_id = consents.customer_id
    cross join asked
    where
        consents.purpose = asked.purpose
        and consents.channel = any(asked.channels)
        and least(consents.occurred_at, consents.known_at) <= asked.moment
),

blocked as materialized (
    select people_ids.person_id, blocks.channel
    from people_ids
    inner join core.consent_blocks as blocks on people_ids.customer_id = blocks.customer_id
    union
    select people_ids.person_id, holds.channel
    from people_ids
    inner join campaign.reply_holds as holds on people_ids.customer_id = holds.customer_id
),

-- Where the law lets implied consent count for some time only: from when on, and whether they have bought since (C7).
limited as materialized (
    select
        rules.person_id, rules.basis, rules.begins_at,
        rules.basis = 'soft_opt_in'
        and exists (
            select from core.purchases
            where
                purchases.customer_id = any(people.ids)
                and purchases.purchased_at between rules.begins_at and rules.moment
                and purchases.status = 'paid'
                and purchases.cancelled_by is null
        ) as has_bought
    from (
        select
            people_ids.person_id, implied_consents.basis, asked.moment,
            max(
                (
                    date_trunc('day', asked.moment at time zone place.business_zone)
                    - make_interval(months => implied_consents.months)
                ) at time zone place.business_zone
            ) as begins_at
        from people_ids
        inner join core.customers on people_ids.customer_id = customers.customer_id
        cross join lateral unnest(
            coalesce(customers.legal_areas, array[customers.country, customers.phone_country])
        ) as areas (area)
        inner join campaign.implied_consents on split_part(areas.area, '-', 1) = implied_consents.area
        cross join campaign.database as place
        cross join asked
        where
            implied_consents.purpose = asked.purpose
            and people_ids.person_id in (select said.person_id from said where said.basis <> 'express')
        group by people_ids.person_id, implied_consents.basis, asked.moment
    ) as rules
    inner join people on rules.person_id = people.person_id
),

consented as (
    select history.person_id, history.channel, array_agg(distinct history.basis) as bases
    from (
        select
            said.*,
            max(said.occurred_at) filter (where said.status = 'withdrawn')
                over (partition by said.person_id, said.channel) as withdrawn_at
        from said
    ) as history
    cross join asked
    left join limited on history.person_id = limited.person_id and history.basis = limited.basis
    where
        history.status = 'granted'
        and (history.expires_at is null or history.expires_at > asked.moment)
        and (
            history.withdrawn_at is null
            or (history.occurred_at > history.withdrawn_at and history.basis = 'express')
        )
        and (
            limited.person_id is null
            or limited.has_bought
            or (history.basis = 'inquiry' and history.occurred_at >= limited.begins_at)
        )
    group by history.person_id, history.channel
),

allowed as (
    select consented.*
    from consented
    where
        not exists (
            select from blocked
            where blocked.person_id = consented.person_id and blocked.channel = consented.channel
        )
        and not exists (
            select from blocked
            where blocked.person_id = consented.person_id and blocked.channel is null
        )
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
                select from said
                where
                    said.person_id = wanted.person_id
                    and said.channel = wanted.channel
                    and said.status = 'granted'
                    and said.basis = 'express'
                    and said.occurred_at > suppressions.suppressed_at
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
    people.person_id, people.has_zone, wanted.channel, coalesce(allowed.bases, '{}') as bases,
    wanted.address is not null as has_address, suppressed.person_id is not null as is_suppressed,
    wanted.channel = 'whatsapp'
    and coalesce(people.phone_country in (select undelivered.country from undelivered), false) as is_undelivered
from people
inner join wanted on people.person_id = wanted.person_id
left join allowed on wanted.person_id = allowed.person_id and wanted.channel = allowed.channel
left join suppressed on wanted.person_id = suppressed.person_id and wanted.channel = suppressed.channel
