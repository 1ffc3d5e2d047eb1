/*
Bring the leads of the touched conversations to what is known of them now (R13, A2, A5), and note whose changed.

Reads the temporary tables touched_conversations (conversation_id, since, is_said) and changed_conversations
(conversation_id, customer_id). Rows are worked out from what is stored and never incremented, so late, repeated and
corrected lines need no rule of their own. Where only messages since a moment changed, what they cannot move stands: the
milestones, and a free window that had opened by then. Of whoever a changed conversation is or was, every lead is looked
at, since a qualification counts for each. Only rows that differ are written. People of conversations that no ad began
are noted too: what somebody says may end an episode.

owner: engineering
grain: one row
returns:
  people: bigint - of whom something changed
*/
with people as (
    select changed_conversations.customer_id
    from changed_conversations
    where changed_conversations.customer_id is not null
    union
    select conversations.customer_id
    from changed_conversations
    inner join core.conversations on changed_conversations.conversation_id = conversations.conversation_id
),

touched as materialized (
    select
        asked.conversation_id,
        min(asked.since) as since,
        bool_or(asked.is_said) as is_said,
        bool_or(asked.is_whole) as is_whole
    from (
        select
            touched_conversations.conversation_id,
            touched_conversations.since,
            touched_conversations.is_said,
            false as is_whole
        from touched_conversations
        union all
        select
            changed_conversations.conversation_id,
            '-infinity',
            false,
            true
        from changed_conversations
        union all
        select
            conversations.conversation_id,
            '-infinity',
            false,
            true
        from people
        inner join core.conversations on people.customer_id = conversations.customer_id
    ) as asked
    group by asked.conversation_id
    order by asked.conversation_id
),

standing as (
    select
        touched.conversation_id,
        touched.is_said,
        leads.conversation_id is not null as is_kept,
        leads.ctid as place,
        leads.customer_id,
        leads.ad_id,
        leads.opened_at,
        leads.said_at,
        leads.free_opens_at,
        leads.deep_at,
        leads.qualified_at,
        touched.is_whole or leads.conversation_id is null as is_whole,
        touched.is_whole or leads.free_opens_at is null or touched.since <= leads.free_opens_at as moves_window
    from touched
    left join core.leads on touched.conversation_id = leads.conversation_id
),

wanted as (
    select
        standing.conversation_id,
        standing.place,
        standing.is_kept,
        standing.is_said,
        standing.customer_id as former_customer_id,
        (
            standing.customer_id, standing.ad_id, standing.opened_at, standing.said_at, standing.free_opens_at,
            standing.deep_at, standing.qualified_at
        ) is distinct from (
            talks.customer_id, talks.ad_id, talks.opened_at, said.at, answered.at, reached.deep_at, reached.qualified_at
        ) as is_another,
        talks.ad_id is not null and said.at is not null as is_lead,
        talks.customer_id,
        talks.ad_id,
        talks.opened_at,
        said.at as said_at,
        answered.at as free_opens_at,
        reached.deep_at,
        reached.qualified_at
    from standing
    left join core.conversations
        -- looked up for these only
        on conversations.conversation_id = case when standing.is_whole then standing.conversation_id end
    cross join lateral (
        select
            standing.conversation_id,
            case when standing.is_whole then conversations.customer_id else standing.customer_id end as customer_id,
            case when standing.is_whole then conversations.ad_id else standing.ad_id end as ad_id,
            case when standing.is_whole then conversations.opened_at else standing.opened_at end as opened_at
    ) as talks
    left join lateral (
        select max(messages.sent_at) as at
        from facts.messages
        where
            talks.ad_id is not null
            and messages.conversation_id = talks.conversation_id
            and messages.is_customer_message
    ) as said on true
    left join lateral (
        select
            case
                when not standing.moves_window then standing.free_opens_at
                when said.at is not null then (
                    select case when answer.sent_at <= clicked.at + interval '24 hours' then answer.sent_at end
                    from (
                        select min(messages.sent_at) as at
                        from facts.messages
                        where messages.conversation_id = talks.conversation_id and messages.is_customer_message
                    ) as clicked
                    inner join core.messages as answer
                        on answer.conversation_id = talks.conversation_id and answer.sent_at >= clicked.at
                    where answer.direction = 'outbound' and answer.sender in ('bot', 'agent')
                    order by answer.sent_at
                    limit 1
                )
            end as at
    ) as answered on true
    left join lateral (
        select
            case
                when not standing.is_whole then standing.deep_at
                when said.at is not null then (
                    select min(milestones.milestone_at)
                    from core.milestones
                    where
                        milestones.conversation_id = talks.conversation_id
                        and milestones.milestone = 'deep_conversation'
                )
            end as deep_at,
            case
                when not standing.is_whole then standing.qualified_at
                when said.at is not null then (
                    select min(milestones.milestone_at)
                    from core.conversations as theirs
                    inner join core.milestones on theirs.conversation_id = milestones.conversation_id
                    where
                        theirs.customer_id = talks.customer_id
                        and milestones.milestone = 'qualified'
                        and (
                            theirs.conversation_id = talks.conversation_id
                            or milestones.milestone_at >= talks.opened_at
                        )
                )
            end as qualified_at
    ) as reached on true
),

different as materialized (
    select *
    from wanted
    where (is_lead and is_another) or (is_kept and not is_lead)
),

removed as (
    delete from core.leads
    using different
    where leads.ctid = different.place and not different.is_lead
),

changed as (
    update core.leads
    set
        customer_id = different.customer_id,
        ad_id = different.ad_id,
        opened_at = different.opened_at,
        said_at = different.said_at,
        free_opens_at = different.free_opens_at,
        free_ends_at = different.free_opens_at + interval '72 hours',
        deep_at = different.deep_at,
        qualified_at = different.qualified_at
    from different
    where leads.ctid = different.place and different.is_lead
),

added as (
    insert into core.leads (
        conversation_id, customer_id, ad_id, opened_at, said_at, free_opens_at, free_ends_at, deep_at, qualified_at
    )
    select
        conversation_id,
        customer_id,
        ad_id,
        opened_at,
        said_at,
        free_opens_at,
        free_opens_at + interval '72 hours',
        deep_at,
        qualified_at
    from different
    where place is null
),

noted as (
    insert into core.silences_changed (customer_id)
    select customer_id
    from (
        select people.customer_id from people
        union
        select different.customer_id from different
        union
        select different.former_customer_id from different
        union
        select wanted.customer_id from wanted
        where wanted.is_said
    ) as of_them
    where customer_id is not null
    order by customer_id
    on conflict (customer_id) do update
    set changed_at = excluded.changed_at
    returning customer_id
)

select count(*) as people
from noted
