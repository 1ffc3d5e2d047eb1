/*
Store the push tokens of a load: every line here is new or wins over what is stored (core/gate_compare).

owner: engineering
grain: one row per push token
params:
  load_id: bigint - the load
*/
insert into core.push_tokens (
    token_id,
    customer_id,
    endpoint,
    platform,
    active,
    updated_at,
    load_id
)
select
    token_id,
    customer_id,
    endpoint,
    platform,
    active,
    updated_at,
    cast(:load_id as bigint)
from checked
where verdict = 'accepted' and head
order by token_id
on conflict (token_id) do update
set
    customer_id = excluded.customer_id,
    endpoint = excluded.endpoint,
    endpoint_hmac = case when excluded.endpoint is null then push_tokens.endpoint_hmac end,
    platform = excluded.platform,
    active = excluded.active,
    updated_at = excluded.updated_at,
    load_id = excluded.load_id
