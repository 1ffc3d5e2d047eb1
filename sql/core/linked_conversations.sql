/*
Conversations of files that came under ids of WhatsApp belong to the customers whom these are now, or to the ids again,
and what they allowed with them.

owner: engineering
grain: one row per conversation whose customer is another one now, into the temporary table changed_conversations
*/
with found as materialized (
    select
        conversations.conversation_id,
        conversations.customer_id as was,
        linked.writer_id,
        linked.customer_id
    from linked_writers as linked
    inner join core.conversations
        on
            conversations.came_as = linked.writer_id
            or (conversations.customer_id = linked.writer_id and conversations.came_as is null)
    where conversations.customer_id <> linked.customer_id and not conversations.is_derived
),

moved as (
    update core.conversations
    set customer_id = found.customer_id, came_as = nullif(found.writer_id, found.customer_id)
    from found
    where conversations.conversation_id = found.conversation_id
),

inquiries as (
    update core.consents
    set customer_id = found.customer_id
    from found
    where consents.consent_id = 'inquiry:conversation:' || found.conversation_id
)

insert into changed_conversations (conversation_id, customer_id)
select
    conversation_id,
    was
from found
order by conversation_id
on conflict do nothing
