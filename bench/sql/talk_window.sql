/*
What `partial_leads` answers, worked out from every message: windows over all of them, nothing kept.

owner: engineering
grain: one row per customer
params:
  as_of: timestamptz - the moment asked about
  since: timestamptz - only who fell silent after it
*/
with said as (
    select
        conversation_id,
        sent_at,
        direction,
        sender,
        min(sent_at) filter (where sender = 'customer') over (partition by conversation_id) as first_said_at,
        lead(sent_at) over (partition by conversation_id, sender order by sent_at) as next_at
    from core.messages
    where sent_at <= cast(:as_of as timestamptz)
),

windows as (
    -- free from the first answer of the business, if it came within a day
    select
        conversation_id,
        max(sent_at) filter (where sender = 'customer' and next_at is null) as said_at,
        min(sent_at) filter (
            where direction = 'outbound' and sender in ('bot', 'agent') and sent_at >= first_said_at
        ) as opens_at,
        min(first_said_at) as first_said_at
    from said
    group by conversation_id
),

reached as (
    select
        conversation_id,
        max(case milestone when 'qualified' then 3 when 'deep_conversation' then 2 else 1 end) as milestone,
        max(milestone_at) filter (where milestone = 'qualified') as qualified_at
    from core.milestones
    where milestone_at <= cast(:as_of as timestamptz)
    group by conversation_id
),

ads as (
    select distinct on (ad_id)
        ad_id,
        bot_id
    from core.ads
    where updated_at <= cast(:as_of as timestamptz)
    order by ad_id, updated_at desc
),

talks as (
    select
        conversations.customer_id,
        conversations.conversation_id,
        conversations.ad_id,
        ads.bot_id,
        windows.said_at,
        reached.milestone,
        case
            when windows.opens_at <= windows.first_said_at + interval '24 hours'
                then windows.opens_at + interval '72 hours'
        end as free_window_ends_at,
        -- somebody who qualified in any of their conversations since this one was opened
        max(reached.qualified_at) over (partition by conversations.customer_id)
        >= conversations.opened_at as is_qualified
    from core.conversations
    inner join windows on conversations.conversation_id = windows.conversation_id
    inner join reached on conversations.conversation_id = reached.conversation_id
    left join ads on conversations.ad_id = ads.ad_id
    where conversations.opened_at <= cast(:as_of as timestamptz)
)

select distinct on (customer_id)
    customer_id,
    said_at,
    conversation_id,
    case milestone when 2 then 'deep_conversation' else 'lead' end as milestone,
    ad_id,
    free_window_ends_at
from talks
where
    milestone <> 3
    and is_qualified is not true
    and bot_id is not null
    and said_at <= cast(:as_of as timestamptz) - interval '30 minutes'
    and said_at > cast(:since as timestamptz) - interval '30 minutes'
order by customer_id, said_at desc, conversation_id
