/*
Everyone some open step may still reach, under the id they have today, with every id they ever had, whether the zones
they may be in are known, and the country of their number.

Zones this server does not know count as unknown (A3).

owner: engineering
params:
  as_of: timestamptz - decision clock
*/
create temporary table people on commit drop as
with open_people as (
    select distinct customer_id
    from open_steps
    where is_open and expires_at > cast(:as_of as timestamptz)
),

persons as (
    select distinct on (person.customer_id) person.customer_id as person_id, person.ids
    from open_people
    cross join lateral campaign.person(open_people.customer_id) as person
    order by person.customer_id
),

-- Few combinations of zones exist, so each is judged once.
stated as materialized (
    select distinct customers.time_zones
    from persons
    inner join core.customers on customers.customer_id = persons.person_id
    where cardinality(customers.time_zones) > 0
),

unknown as materialized (
    select stated.time_zones
    from stated
    where exists (
        select from unnest(stated.time_zones) as zone
        where zone not in (select zones.name from campaign.zones)
    )
)

select
    persons.person_id, persons.ids,
    coalesce(cardinality(customers.time_zones), 0) > 0
    and customers.time_zones not in (select unknown.time_zones from unknown) as has_zone,
    customers.phone_country
from persons
left join core.customers on customers.customer_id = persons.person_id
