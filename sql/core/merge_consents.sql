/*
Store the consents of a load: every line here is new or wins over what is stored (core/gate_compare).

owner: engineering
grain: one row per consent
params:
  load_id: bigint - the load
*/
insert into core.consents (
    consent_id,
    customer_id,
    channel,
    purpose,
    status,
    basis,
    ad_user_data,
    ad_personalization,
    source,
    wording,
    occurred_at,
    expires_at,
    load_id
)
select
    consent_id,
    customer_id,
    channel,
    purpose,
    status,
    basis,
    ad_user_data,
    ad_personalization,
    source,
    wording,
    occurred_at,
    expires_at,
    cast(:load_id as bigint)
from checked
where verdict = 'accepted' and head
order by consent_id
on conflict (consent_id) do update
set
    customer_id = excluded.customer_id,
    channel = excluded.channel,
    purpose = excluded.purpose,
    status = excluded.status,
    basis = excluded.basis,
    ad_user_data = excluded.ad_user_data,
    ad_personalization = excluded.ad_personalization,
    source = excluded.source,
    wording = excluded.wording,
    occurred_at = excluded.occurred_at,
    expires_at = excluded.expires_at,
    load_id = excluded.load_id
