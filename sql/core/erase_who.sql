/*
Every id under which we know one person: aliases, the guests of their emails where nobody else has or had them, and who
wrote from their number on WhatsApp.

A guest of an email they had before is an id of theirs whether that guest has come or not.

owner: engineering
grain: one row
params:
  customer_id: text - any id of the person
  inner_pad: bytea - key of address hashes
  outer_pad: bytea - key of address hashes
returns:
  customer_id: text - the canonical id
  ids: text[] - every id, that one included
  is_known: boolean - whether anything is kept about them
*/
with person as materialized (
    select found.customer_id, found.ids
    from campaign.person(cast(:customer_id as text)) as found
),

contacts as materialized (
    select customers.email_canonical, customers.phone_e164
    from core.customers
    where customers.customer_id in (select unnest(person.ids) from person)
    union
    select guests.email_canonical, null
    from core.guests
    where guests.guest_id in (select unnest(person.ids) from person)
),

claims as materialized (
    select guest_claims.guest_id
    from core.guest_claims
    where guest_claims.customer_id in (select unnest(person.ids) from person)
),

-- what these hashes are made of is known where somebody has that address now
had_by_others as (
    select claims.guest_id
    from claims
    inner join core.customers
        on claims.guest_id = 'guest:' || campaign.keyed_hash(
            cast(:inner_pad as bytea), cast(:outer_pad as bytea), customers.email_canonical
        )
    where
        customers.customer_id <> claims.guest_id
        and customers.customer_id not in (select unnest(person.ids) from person)
    union
    select claims.guest_id
    from claims
    inner join core.guest_claims using (guest_id)
    where guest_claims.customer_id not in (select unnest(person.ids) from person)
),

guests_of_theirs as (
    select claims.guest_id as customer_id
    from claims
    where claims.guest_id not in (select had_by_others.guest_id from had_by_others)
    union
    select guests.guest_id
    from core.guests
    where
        guests.email_canonical in (select contacts.email_canonical from contacts)
        and not exists (
            select from core.guest_claims as others
            where
                others.guest_id = guests.guest_id
                and others.customer_id not in (select unnest(person.ids) from person)
        )
        and not exists (
            select from core.customers as others
            where
                others.email_canonical = guests.email_canonical
                and others.customer_id <> guests.guest_id
                and others.customer_id not in (select unnest(person.ids) from person)
        )
),

writers as (
    select customers.customer_id
    from core.customers
    inner join contacts
        on customers.customer_id in (contacts.phone_e164, ltrim(contacts.phone_e164, '+'))
    where customers.is_bare
),

ids as materialized (
    select unnest(person.ids) as customer_id from person
    union
    select guests_of_theirs.customer_id from guests_of_theirs
    union
    select writers.customer_id from writers
)

select
    person.customer_id,
    (select array_agg(ids.customer_id order by ids.customer_id) from ids) as ids,
    exists (select from core.customers inner join ids on ids.customer_id = customers.customer_id)
    or exists (select from campaign.enrolments inner join ids on ids.customer_id = enrolments.customer_id)
    or exists (select from raw.parked inner join ids on ids.customer_id = parked.customer_id)
    or exists (
        select from raw.quarantine
        inner join ids on ids.customer_id = raw.trimmed(quarantine.fields ->> 'customer_id')
    ) as is_known
from person
