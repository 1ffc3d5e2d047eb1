/*
Messages that came before the conversation of somebody who asked to be forgotten.

owner: engineering
params:
  conversations: text[] - conversations of this load that nothing is kept of
*/
delete from core.messages
where conversation_id = any(cast(:conversations as text[]))
