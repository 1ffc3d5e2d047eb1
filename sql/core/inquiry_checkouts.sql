/*
A checkout that somebody began is an inquiry: it allows retargeting by email for some days (A21). What a newer
version changes is kept as it was (C23).

owner: engineering
grain: one row per checkout of a known person
params:
  days: int - how long an inquiry allows it
  load_id: bigint - the load
*/
with told as (
    select
        'inquiry:checkout:' || checkouts.checkout_id as consent_id,
        checkouts.customer_id,
        'email' as channel,
        'retargeting' as purpose,
        'granted' as status,
        'inquiry' as basis,
        'checkout' as source,
        checkouts.opened_at as occurred_at,
        checkouts.opened_at + interval '1 day' * cast(:days as integer) as expires_at,
        cast(:load_id as bigint) as load_id
    from checked
    inner join core.checkouts using (checkout_id)
    where checked.verdict = 'accepted' and checkouts.customer_id is not null
),

replaced as (
    insert into core.replaced_consents
    select
        clock_timestamp() as replaced_at,
        consents.*
    from told
    inner join core.consents on told.consent_id = consents.consent_id
    where
        (consents.customer_id, consents.occurred_at, consents.expires_at)
        is distinct from (told.customer_id, told.occurred_at, told.expires_at)
)

insert into core.consents (
    consent_id, customer_id, channel, purpose, status, basis, source, occurred_at, expires_at, load_id
)
select
    consent_id, customer_id, channel, purpose, status, basis, source, occurred_at, expires_at, load_id
from told
order by consent_id
on conflict (consent_id) do update
set
    customer_id = excluded.customer_id,
    occurred_at = excluded.occurred_at,
    expires_at = excluded.expires_at,
    load_id = excluded.load_id
where
    (consents.customer_id, consents.occurred_at, consents.expires_at)
    is distinct from (excluded.customer_id, excluded.occurred_at, excluded.expires_at)
