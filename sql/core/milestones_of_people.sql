/*
Conversations of people who bought or did something, or did not after all, where the source does not tell the
milestones: they are derived again.

owner: engineering
grain: one row per conversation
*/
insert into core.conversations_changed (conversation_id)
select conversations.conversation_id
from core.conversations
where
    conversations.milestone is null
    and conversations.customer_id in (
        select checked.customer_id from checked where checked.verdict = 'accepted'
        union all
        select linked_writers.customer_id from linked_writers
        union all
        select touched_customers.customer_id from touched_customers
    )
order by conversations.conversation_id
on conflict (conversation_id) do update
set change_no = default
