/*
Bring the free entry windows of the touched conversations to what their messages say now (A2).

Reads the temporary table touched_conversations (conversation_id, since). What is said after a window opened moves it
no more; a conversation that changed itself has since = infinity. The window belongs to conversations that an ad began.
It opens with the first answer of a bot or an agent, if that comes within 24 hours of the customer's first message, and
ends 72 hours after the answer; campaigns answer nobody.

owner: engineering
grain: one row
returns:
  conversations: bigint - conversations whose window changed
*/
with touched as materialized (
    select
        touched_conversations.conversation_id,
        free_windows.opens_at
    from touched_conversations
    left join core.free_windows on touched_conversations.conversation_id = free_windows.conversation_id
    where
        free_windows.opens_at is null
        or touched_conversations.since <= free_windows.opens_at
        or touched_conversations.since = 'infinity'
),

clicked as materialized (
    select
        conversations.conversation_id,
        (
            select min(silences.said_at)
            from core.silences
            where silences.conversation_id = conversations.conversation_id
        ) as at
    from touched
    inner join core.conversations on touched.conversation_id = conversations.conversation_id
    where conversations.ad_id is not null
),

wanted as (
    select
        clicked.conversation_id,
        answer.sent_at as opens_at,
        answer.sent_at + interval '72 hours' as ends_at
    from clicked
    cross join lateral (
        select messages.sent_at
        from core.messages
        where
            messages.conversation_id = clicked.conversation_id
            and messages.direction = 'outbound'
            and messages.sender in ('bot', 'agent')
            and messages.sent_at >= clicked.at
        order by messages.sent_at
        limit 1
    ) as answer
    where answer.sent_at <= clicked.at + interval '24 hours'
),

different as materialized (
    select
        coalesce(wanted.conversation_id, standing.conversation_id) as conversation_id,
        wanted.opens_at,
        wanted.ends_at
    from wanted
    full join (
        select
            conversation_id,
            opens_at
        from touched
        where opens_at is not null
    ) as standing on wanted.conversation_id = standing.conversation_id
    where wanted.opens_at is distinct from standing.opens_at
),

removed as (
    delete from core.free_windows
    using different
    where free_windows.conversation_id = different.conversation_id and different.opens_at is null
),

stored as (
    insert into core.free_windows (conversation_id, opens_at, ends_at)
    select
        conversation_id,
        opens_at,
        ends_at
    from different
    where opens_at is not null
    order by conversation_id
    on conflict (conversation_id) do update
    set opens_at = excluded.opens_at, ends_at = excluded.ends_at
),

remembered as (
    insert into changed_conversations (conversation_id)
    select conversation_id
    from different
    on conflict do nothing
)

select count(*) as conversations
from different
