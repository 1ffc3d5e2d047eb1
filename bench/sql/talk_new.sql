/*
New messages of conversations drawn at random, within some time after a moment.

owner: engineering
grain: one row per message
params:
  messages: int - how many
  since: timestamptz - the end of what is known
  within: interval - in how long they are said
returns:
  conversation_id: text - the conversation
  sent_at: timestamptz - when
*/
select
    drawn.conversation_id,
    cast(:since as timestamptz) + random() * cast(:within as interval) as sent_at
from (
    select conversation_id
    from core.conversations
    order by random()
    limit cast(:messages as integer)
) as drawn
