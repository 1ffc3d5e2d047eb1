/*
Bring the silences of the touched conversations to what their messages say now (R13).

Reads the temporary table touched_conversations (conversation_id, since). Rows are recomputed from the messages and
never incremented, so late, repeated and corrected messages need no rule of their own; those before any message that
changed stand, but for the last of them. Only rows that differ are written.

owner: engineering
grain: one row
returns:
  conversations: bigint - conversations whose silences changed
*/
with touched as materialized (
    -- what was said last before the first change stands, and only its end may be another
    select
        touched_conversations.conversation_id,
        touched_conversations.since,
        former.said_at,
        former.next_said_at,
        former.place
    from touched_conversations
    left join lateral (
        select
            silences.said_at,
            silences.next_said_at,
            silences.ctid as place
        from core.silences
        where
            silences.conversation_id = touched_conversations.conversation_id
            and silences.said_at < touched_conversations.since
        order by silences.said_at desc
        limit 1
    ) as former on true
    order by touched_conversations.conversation_id
),

wanted as (
    select
        said.conversation_id,
        said.said_at,
        lead(said.said_at) over (partition by said.conversation_id order by said.said_at) as next_said_at
    from (
        select
            touched.conversation_id,
            touched.said_at
        from touched
        where touched.said_at is not null
        union
        select
            messages.conversation_id,
            messages.sent_at
        from touched
        inner join facts.messages
            on touched.conversation_id = messages.conversation_id and touched.since <= messages.sent_at
        where messages.is_customer_message
    ) as said
),

standing as (
    select
        touched.conversation_id,
        touched.said_at,
        touched.next_said_at,
        touched.place
    from touched
    where touched.said_at is not null
    union all
    select
        silences.conversation_id,
        silences.said_at,
        silences.next_said_at,
        silences.ctid
    from touched
    inner join core.silences
        on touched.conversation_id = silences.conversation_id and touched.since <= silences.said_at
    -- most changes are newer than all that is known
    where touched.said_at is null or touched.next_said_at is not null
),

different as materialized (
    select
        standing.place,
        coalesce(wanted.conversation_id, standing.conversation_id) as conversation_id,
        wanted.said_at,
        wanted.next_said_at
    from wanted
    full join standing
        on wanted.conversation_id = standing.conversation_id and wanted.said_at = standing.said_at
    where
        (wanted.conversation_id is null) or (standing.conversation_id is null)
        or wanted.next_said_at is distinct from standing.next_said_at
),

removed as (
    delete from core.silences
    using different
    where silences.ctid = different.place and different.said_at is null
),

changed as (
    update core.silences
    set next_said_at = different.next_said_at
    from different
    where silences.ctid = different.place and different.said_at is not null
),

added as (
    insert into core.silences (conversation_id, said_at, next_said_at)
    select conversation_id, said_at, next_said_at
    from different
    where place is null
),

remembered as (
    insert into changed_conversations (conversation_id)
    select distinct conversation_id
    from different
    on conflict do nothing
    returning conversation_id
)

select count(*) as conversations
from remembered
