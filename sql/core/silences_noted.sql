/*
Note whose conversations changed, and whose they were before.

owner: engineering
grain: one row per customer
*/
insert into core.silences_changed (customer_id)
select customer_id
from (
    select conversations.customer_id
    from changed_conversations
    inner join core.conversations on changed_conversations.conversation_id = conversations.conversation_id
    union
    select customer_id
    from changed_conversations
    where customer_id is not null
) as people
order by customer_id
on conflict (customer_id) do update
set changed_at = excluded.changed_at
