/*
For `reengage doctor`: whether WhatsApp messages have a price, by country of the numbers that have a consent.

owner: engineering
grain: one row per country and category
params:
  as_of: timestamptz - the moment the question is asked
  categories: text[] - categories asked about
returns:
  country: text nullable - country of the numbers; null: of no country
  category: text - what WhatsApp charges by
  people: bigint - people with such a number and a consent
  has_price: boolean - whether the table has a price for that day
  is_example: boolean - whether it is made up
*/
with reachable as (
    select customers.phone_country as country, count(*) as people
    from core.customers
    where customers.phone_e164 is not null
        and exists (
            select from core.consents
            where consents.customer_id = customers.customer_id
                and consents.channel = 'whatsapp'
                and consents.status = 'granted'
                and consents.occurred_at <= cast(:as_of as timestamptz)
                and (consents.expires_at is null or consents.expires_at > cast(:as_of as timestamptz))
        )
    group by customers.phone_country
)

select
    reachable.country,
    asked.category,
    reachable.people,
    price.price is not null as has_price,
    coalesce(price.is_example, false) as is_example
from reachable
cross join unnest(cast(:categories as text[])) as asked (category)
cross join campaign.database as place
left join lateral campaign.whatsapp_price(
    reachable.country, asked.category, cast(cast(:as_of as timestamptz) at time zone place.business_zone as date)
) as price on true
order by reachable.people desc, reachable.country, asked.category
