/*
Conversations that a load changes, with whose they were before; a milestone counts whichever version tells of it.

owner: engineering
grain: one row per conversation, into the temporary tables touched_conversations and changed_conversations
*/
with told as (
    select distinct checked.conversation_id
    from checked
    where
        (checked.verdict = 'accepted' and checked.head)
        or (
            (checked.verdict in ('accepted', 'duplicate') or checked.reason = 'conflicting_version')
            and checked.milestone is not null
            and not exists (
                select from core.milestones
                where
                    milestones.conversation_id = checked.conversation_id
                    and milestones.milestone = checked.milestone
                    and milestones.milestone_at = checked.milestone_at
            )
        )
),

touched as (
    -- no message of theirs changes, unless it went with somebody who is forgotten
    insert into touched_conversations (conversation_id, since)
    select
        conversation_id,
        'infinity'
    from told
    on conflict (conversation_id) do nothing
)

insert into changed_conversations (conversation_id, customer_id)
select
    told.conversation_id,
    conversations.customer_id
from told
left join core.conversations on told.conversation_id = conversations.conversation_id
