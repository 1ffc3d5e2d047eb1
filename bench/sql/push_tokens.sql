/*
A device for three people in ten.

owner: engineering
grain: one row per device
*/
insert into core.push_tokens (token_id, customer_id, endpoint, platform, active, updated_at, load_id)
select
    customer_id || '/token',
    customer_id,
    'arn:' || customer_id,
    'fcm',
    true,
    timestamptz '2020-01-01 00:00:00+00:00',
    0
from core.customers
where abs(hashtext(customer_id)) % 10 < 3
