/*
People who can be written to by email and WhatsApp, one after the other: made-up ones under example.com.

owner: engineering
grain: one row per customer
params:
  people: int - how many
  zone: text - where they live
*/
with made as (
    insert into core.customers (
        customer_id, email, email_canonical, phone, phone_e164, first_name, language, country, time_zones
    )
    select
        'p' || lpad(cast(n as text), 7, '0'), 'p' || n || '@example.com', 'p' || n || '@example.com',
        '+4930' || lpad(cast(n as text), 8, '0'), '+4930' || lpad(cast(n as text), 8, '0'), 'Ann', 'en', 'DE',
        array[:zone]
    from generate_series(1, cast(:people as int)) as n
    returning customer_id
)

insert into core.consents (consent_id, customer_id, channel, purpose, status, basis, occurred_at)
select made.customer_id || channel, made.customer_id, channel, 'marketing', 'granted', 'express', timestamptz '2025-01-01'
from made
cross join unnest(array['email', 'whatsapp']) as channel
