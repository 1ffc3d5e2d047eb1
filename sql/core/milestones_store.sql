/*
Write the derived milestones of some conversations in place of those derived before. A conversation that changed again
meanwhile goes on waiting; one whose source tells its milestones has no derived ones.

owner: engineering
grain: one row per milestone
params:
  conversations: text[] - the conversations
  changes: bigint[] - the number of the change of each that was looked at
  reached: jsonb - conversation_id, milestone and milestone_at of each milestone
*/
with waiting as materialized (
    -- in the order in which loads write them, so that neither waits for the other for good
    select conversations_changed.conversation_id
    from core.conversations_changed
    inner join unnest(cast(:conversations as text[]), cast(:changes as bigint[]))
        as looked_at (conversation_id, change_no)
        on
            conversations_changed.conversation_id = looked_at.conversation_id
            and conversations_changed.change_no = looked_at.change_no
    order by conversations_changed.conversation_id
    for update of conversations_changed
),

taken as (
    delete from core.conversations_changed
    using waiting
    where conversations_changed.conversation_id = waiting.conversation_id
),

found as materialized (
    select
        reached.conversation_id,
        reached.milestone,
        min(reached.milestone_at) as milestone_at
    from jsonb_to_recordset(cast(:reached as jsonb)) as reached (
        conversation_id text, milestone text, milestone_at timestamptz
    )
    inner join core.conversations using (conversation_id)
    where conversations.milestone is null
    group by reached.conversation_id, reached.milestone
),

former as (
    delete from core.milestones
    where
        milestones.conversation_id = any(cast(:conversations as text[]))
        and milestones.is_derived
        and not exists (
            select from found
            where
                found.conversation_id = milestones.conversation_id
                and found.milestone = milestones.milestone
                and found.milestone_at = milestones.milestone_at
        )
)

insert into core.milestones (conversation_id, milestone, milestone_at, is_derived)
select
    conversation_id,
    milestone,
    milestone_at,
    true
from found
order by conversation_id, milestone
on conflict (conversation_id, milestone, milestone_at) do nothing
