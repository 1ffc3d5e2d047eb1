/*
People from an ad who talked to the bot, stalled before they qualified, and have been silent since.

A conversation that an ad began counts while its milestone is Lead or Deep conversation and the person has qualified in
no conversation since it was opened. Silence is counted from the customer's last message; what bots and agents write
does not end it. Whoever has several such conversations is in with the one they wrote in last: every click on an ad is
a conversation of its own, and so an occasion of its own.

owner: growth
grain: one row per customer
params:
  as_of: timestamptz - the moment the question is asked; messages and milestones after it have not happened yet
  ads: text[] = null - the campaign's ads; none: every ad that has had a bot by as_of
  min_silence: interval = '30 minutes' - how long without a message of theirs, at least 5 minutes (less counts as 5)
  fell_silent_after: timestamptz = null - only who had been silent so long after this moment
returns:
  customer_id: text unique - who
  anchor_at: timestamptz - their last message
  episode: text - the conversation: a new click on an ad begins a new occasion
  conversation_id: text - the conversation
  milestone: text - how far they came: lead or deep_conversation
  ad_id: text - the ad that began it
  free_window_ends_at: timestamptz nullable - until when writing to them is free; null when no free window opened
*/
with asked as not materialized (
    select
        cast(:as_of as timestamptz) as moment,
        greatest(cast(:min_silence as interval), interval '5 minutes') as least_silence,
        cast(:fell_silent_after as timestamptz) as silent_before,
        cast(:ads as text[]) as ads
),

ads_with_bot as (
    -- one that has lost its bot since holds what is due until it has one again, and ends nothing
    select ads.ad_id
    from facts.ads
    cross join asked
    where ads.bot_id is not null and ads.updated_at <= asked.moment
),

silent as (
    -- the silence in force: the last message of the customer at the moment asked about
    select
        conversations.customer_id,
        conversations.conversation_id,
        conversations.ad_id,
        conversations.opened_at,
        silences.said_at,
        asked.moment
    from facts.silences
    inner join facts.conversations on silences.conversation_id = conversations.conversation_id
    cross join asked
    where
        silences.said_at <= asked.moment - asked.least_silence
        and silences.said_at > coalesce(asked.silent_before - asked.least_silence, '-infinity')
        and (
            silences.next_said_at is null
            or (
                silences.next_said_at - silences.said_at >= interval '5 minutes'
                and silences.next_said_at > asked.moment
            )
        )
        and conversations.opened_at <= asked.moment
        and case
            when cardinality(asked.ads) > 0 then conversations.ad_id = any(asked.ads)
            else conversations.ad_id in (select ads_with_bot.ad_id from ads_with_bot)
        end
),

partial as (
    select
        silent.*,
        case reached.furthest when 2 then 'deep_conversation' else 'lead' end as milestone
    from silent
    cross join lateral (
        -- how far this conversation came, and whether the person has qualified in any since it was opened
        select
            max(case milestones.milestone when 'qualified' then 3 when 'deep_conversation' then 2 else 1 end)
                filter (where theirs.conversation_id = silent.conversation_id) as furthest,
            coalesce(
                bool_or(milestones.milestone = 'qualified' and milestones.milestone_at >= silent.opened_at), false
            ) as is_qualified
        from facts.conversations as theirs
        inner join facts.milestones on theirs.conversation_id = milestones.conversation_id
        where theirs.customer_id = silent.customer_id and milestones.milestone_at <= silent.moment
    ) as reached
    where coalesce(reached.furthest, 1) < 3 and not reached.is_qualified
)

select distinct on (partial.customer_id)
    partial.customer_id,
    partial.said_at as anchor_at,
    partial.conversation_id as episode,
    partial.conversation_id,
    partial.milestone,
    partial.ad_id,
    case when free_windows.opens_at <= partial.moment then free_windows.ends_at end as free_window_ends_at
from partial
left join facts.free_windows on partial.conversation_id = free_windows.conversation_id
order by partial.customer_id, partial.said_at desc, partial.conversation_id
