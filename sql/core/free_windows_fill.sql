/*
Write every conversation's free entry window into a table that holds none yet: the first load.

The same rows as core/free_windows_refresh gives, from one pass over the messages.

owner: engineering
grain: one row per conversation with a window
*/
with clicked as (
    select
        conversations.conversation_id,
        min(silences.said_at) as at
    from core.conversations
    inner join core.silences on conversations.conversation_id = silences.conversation_id
    where conversations.ad_id is not null
    group by conversations.conversation_id
),

answered as (
    select
        clicked.conversation_id,
        clicked.at,
        min(messages.sent_at) as opens_at
    from clicked
    inner join core.messages
        on clicked.conversation_id = messages.conversation_id and messages.sent_at >= clicked.at
    where messages.direction = 'outbound' and messages.sender in ('bot', 'agent')
    group by clicked.conversation_id, clicked.at
)

insert into core.free_windows (conversation_id, opens_at, ends_at)
select
    conversation_id,
    opens_at,
    opens_at + interval '72 hours'
from answered
where opens_at <= at + interval '24 hours'
order by conversation_id
