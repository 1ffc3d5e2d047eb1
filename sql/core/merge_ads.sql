/*
Store the states of ads of a load: every line here is new or wins over what is stored (core/gate_compare).

owner: engineering
grain: one row per state of an ad
params:
  load_id: bigint - the load
*/
insert into core.ads (
    ad_id,
    campaign_name,
    bot_id,
    status,
    updated_at,
    load_id
)
select
    ad_id,
    campaign_name,
    bot_id,
    status,
    updated_at,
    cast(:load_id as bigint)
from checked
where verdict = 'accepted' and head
order by ad_id
on conflict (ad_id, updated_at) do update
set
    campaign_name = excluded.campaign_name,
    bot_id = excluded.bot_id,
    status = excluded.status,
    load_id = excluded.load_id
