/*
Conversations whose milestones a load of conversations, messages or customers may change: those that it touches, and
every other one of the people whose these are or were, since a conversation ends where the person's next one begins.
Where milestones are derived they are derived again; while none are, nothing is looked up.

owner: engineering
grain: one row per conversation
*/
insert into core.conversations_changed (conversation_id)
with people as (
    select changed_conversations.customer_id
    from changed_conversations
    where changed_conversations.customer_id is not null
    union
    select conversations.customer_id
    from changed_conversations
    inner join core.conversations on changed_conversations.conversation_id = conversations.conversation_id
),

changed as (
    select touched_conversations.conversation_id from touched_conversations
    union
    select conversations.conversation_id
    from people
    inner join core.conversations on people.customer_id = conversations.customer_id
)

select conversations.conversation_id
from changed
inner join core.conversations on changed.conversation_id = conversations.conversation_id
where
    (
        exists (select from core.conversations as untold where untold.milestone is null)
        or exists (select from core.milestones as derived where derived.is_derived)
    )
    and (
        conversations.milestone is null
        or exists (
            select from core.milestones
            where milestones.conversation_id = conversations.conversation_id and milestones.is_derived
        )
    )
order by conversations.conversation_id
on conflict (conversation_id) do update
set change_no = default
