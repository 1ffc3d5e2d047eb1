/*
Consent to marketing for seven people in ten by email and three in ten by push, one in ten taken back later.

owner: engineering
grain: one row per consent
*/
insert into core.consents (
    consent_id, customer_id, channel, purpose, status, basis, source, occurred_at
)
select
    customer_id || '/' || channel || '/' || status,
    customer_id,
    channel,
    'marketing',
    status,
    case when status = 'granted' then 'express' end,
    'bench',
    timestamptz '2020-01-01 00:00:00+00:00' + case when status = 'withdrawn' then interval '30 days' else interval '0' end
from core.customers
cross join (values ('email', 7), ('push', 3)) as ways (channel, tenths)
cross join (values ('granted'), ('withdrawn')) as answers (status)
where
    abs(hashtext(customer_id || channel)) % 10 < tenths
    and (status = 'granted' or abs(hashtext(channel || customer_id)) % 10 = 0)
