/*
Everybody has said one thing, when they opened their conversation.

owner: engineering
grain: one row per conversation
*/
insert into core.silences (conversation_id, said_at)
select conversation_id, opened_at
from core.conversations
