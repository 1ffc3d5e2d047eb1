/*
Messages that came before the conversation of somebody who asked to be forgotten, with the conversations that lose them:
one that stands as somebody else's has nothing said in it any more.

owner: engineering
grain: one row per conversation, into the temporary table touched_conversations
params:
  conversations: text[] - conversations of this load that nothing is kept of
*/
with gone as (
    delete from core.messages
    where conversation_id = any(cast(:conversations as text[]))
    returning conversation_id
)

insert into touched_conversations (conversation_id)
select distinct conversation_id
from gone
