/*
Write to each message the conversation that it belongs to.

owner: engineering
grain: updates the messages whose conversation is another one now
*/
update core.messages
set conversation_id = threaded.conversation_id
from threaded
where
    messages.message_id = threaded.message_id
    and messages.conversation_id is distinct from threaded.conversation_id
