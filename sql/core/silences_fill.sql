/*
Write every conversation's silences into a table that holds none yet: the first load.

The same rows as core/silences_refresh gives, without comparing them with what is there.

owner: engineering
grain: one row per conversation and moment of a customer message
*/
insert into core.silences (conversation_id, said_at, next_said_at)
select
    conversation_id,
    sent_at,
    lead(sent_at) over (partition by conversation_id order by sent_at)
from (
    select distinct
        conversation_id,
        sent_at
    from facts.messages
    where is_customer_message and conversation_id is not null
) as said
-- conversations side by side: a refresh of one of them reads one page
order by conversation_id, sent_at
