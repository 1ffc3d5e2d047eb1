/*
When the rule is another one than last time, every conversation whose source tells no milestone waits for it.

owner: engineering
grain: one row per conversation, when the rule is another one
params:
  sha256: text - what tells this rule from another
*/
with before as (
    delete from core.milestone_rule where milestone_rule.sha256 <> cast(:sha256 as text)
),

now as (
    insert into core.milestone_rule (sha256)
    values (cast(:sha256 as text))
    on conflict (sha256) do nothing
    returning milestone_rule.sha256
)

insert into core.conversations_changed (conversation_id)
select conversations.conversation_id
from core.conversations
where conversations.milestone is null and exists (select from now)
order by conversations.conversation_id
on conflict (conversation_id) do update
set change_no = default
