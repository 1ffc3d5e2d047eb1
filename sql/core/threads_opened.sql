/*
Conversations that messages open, unless a file tells of the same one, which says more.

owner: engineering
grain: one row per conversation that is new or another one now, into the temporary table opened
params:
  load_id: bigint - the load
*/
with stored as (
    insert into core.conversations (
        conversation_id, customer_id, channel, account, ad_id, opened_at, updated_at, load_id, is_derived
    )
    select
        conversation_id,
        customer_id,
        'whatsapp',
        account,
        ad_id,
        sent_at as opened_at,
        sent_at as updated_at,
        cast(:load_id as bigint),
        true
    from threaded
    where message_id = conversation_id
    order by conversation_id
    on conflict (conversation_id) do update
    set
        customer_id = excluded.customer_id,
        account = excluded.account,
        ad_id = excluded.ad_id,
        opened_at = excluded.opened_at,
        updated_at = excluded.updated_at,
        load_id = excluded.load_id
    where
        conversations.is_derived
        and (conversations.customer_id, conversations.account, conversations.ad_id, conversations.opened_at)
        is distinct from (excluded.customer_id, excluded.account, excluded.ad_id, excluded.opened_at)
    returning conversation_id
)

insert into opened (conversation_id)
select conversation_id
from stored
