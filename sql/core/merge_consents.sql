/*
Store the consents of a load: every line here is new or wins over what is stored (core/gate_compare).

What is dated after the load was known at the load's time; the same date again was known when it first came.

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
    known_at,
    load_id
)
select
    checked.consent_id,
    checked.customer_id,
    checked.channel,
    checked.purpose,
    checked.status,
    checked.basis,
    checked.ad_user_data,
    checked.ad_personalization,
    checked.source,
    checked.wording,
    checked.occurred_at,
    checked.expires_at,
    case when checked.occurred_at > loads.as_of then loads.as_of end,
    loads.load_id
from checked
inner join raw.loads on loads.load_id = cast(:load_id as bigint)
where checked.verdict = 'accepted' and checked.head
order by checked.consent_id
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
    known_at = case
        when consents.occurred_at = excluded.occurred_at then consents.known_at
        else excluded.known_at
    end,
    load_id = excluded.load_id
