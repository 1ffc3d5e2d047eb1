/*
Conversations that a load brings or renews.

owner: engineering
grain: one row per conversation
*/
insert into opened (conversation_id)
select conversation_id
from checked
where verdict = 'accepted'
