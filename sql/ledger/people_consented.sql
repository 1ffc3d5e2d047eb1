/*
Consent bases in force per channel of each of the people (A21, C7).

The same answers as campaign.consents_in_force() gives about one person, by sets for everybody: a test holds the two
equal. Reads the temporary tables people (person_id, ids) and people_ids.

owner: engineering
params:
  as_of: timestamptz - decision clock
  purpose: text - purpose the consent must name
  channels: text[] - channels and ad platforms asked about
*/
create temporary table consented on commit drop as
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

granted as (
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
)

select granted.*
from granted
where
    not exists (
        select from blocked
        where blocked.person_id = granted.person_id and blocked.channel = granted.channel
    )
    and not exists (
        select from blocked
        where blocked.person_id = granted.person_id and blocked.channel is null
    )
