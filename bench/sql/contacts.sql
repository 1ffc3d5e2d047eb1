/*
Addresses and zones for the people of a history: made-up ones under example.com.

owner: engineering
grain: one row per customer
*/
update core.customers
set
    email = customer_id || '@example.com',
    email_canonical = customer_id || '@example.com',
    language = 'en',
    country = 'DE',
    time_zone = 'Europe/Berlin',
    time_zones = array['Europe/Berlin'],
    contact_derived_at = timestamptz '2020-01-01 00:00:00+00:00',
    is_bare = false
