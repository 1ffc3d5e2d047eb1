/*
Store the conversations of a load: every line here is new or wins over what is stored (core/gate_compare).

owner: engineering
grain: one row per conversation
params:
  load_id: bigint - the load
*/
insert into core.conversations (
    conversation_id,
    customer_id,
    channel,
    account,
    ad_id,
    bot_id,
    opened_at,
    milestone,
    milestone_at,
    updated_at,
    load_id
)
select
    conversation_id,
    customer_id,
    channel,
    account,
    ad_id,
    bot_id,
    opened_at,
    milestone,
    milestone_at,
    updated_at,
    cast(:load_id as bigint)
from checked
where verdict = 'accepted' and head
order by conversation_id
on conflict (conversation_id) do update
set
    customer_id = excluded.customer_id,
    channel = excluded.channel,
    account = excluded.account,
    ad_id = excluded.ad_id,
    bot_id = excluded.bot_id,
    opened_at = excluded.opened_at,
    milestone = excluded.milestone,
    milestone_at = excluded.milestone_at,
    updated_at = excluded.updated_at,
    is_derived = false,
    came_as = null,
    load_id = excluded.load_id
