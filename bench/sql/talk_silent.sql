/*
Everybody has said one thing, when they opened their conversation.

owner: engineering
grain: one row per conversation
*/
insert into core.leads (conversation_id, customer_id, ad_id, opened_at, said_at, qualified_at)
select
    conversations.conversation_id,
    conversations.customer_id,
    conversations.ad_id,
    conversations.opened_at,
    conversations.opened_at,
    (
        select min(milestones.milestone_at)
        from core.milestones
        where milestones.conversation_id = conversations.conversation_id and milestones.milestone = 'qualified'
    )
from core.conversations
