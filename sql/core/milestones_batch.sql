/*
Conversations that wait for their milestones, those that changed first.

owner: engineering
grain: one row per conversation
params:
  at_most: int - how many
returns:
  conversation_id: text unique - the conversation
  change_no: bigint - number of the change that is looked at
*/
select
    conversation_id,
    change_no
from core.conversations_changed
order by change_no
limit cast(:at_most as int)
