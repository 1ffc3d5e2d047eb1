/*
Count leads that qualified after a message, each credited to the last message before that, on whatever channel (A7).

A lead is a conversation (A5). At the very instant of the next message it is still this one's. Of an erased person the
first qualification is left, and it counts for the lead they were written to about before it.

owner: engineering
grain: one row per campaign, step and day of the message
params:
  as_of: timestamptz - the moment that is measured
*/
insert into evaluation.qualified_leads (campaign, step, sent_on, leads)
with sent as (
    select
        measured.campaign,
        measured.step,
        measured.sent_on,
        send.customer_id,
        send.episode,
        measured.goal_event,
        measured.accepted_at,
        coalesce(
            lead(measured.accepted_at) over (
                partition by send.episode order by measured.accepted_at, measured.send_key
            ),
            'infinity'
        ) as next_at
    from measured_sends as measured
    inner join campaign.sends as send on send.send_key = measured.send_key
),

credited as (
    select sent.campaign, sent.step, sent.sent_on, sent.accepted_at, sent.next_at, first_of_all.qualified_at
    from sent
    cross join lateral (
        select min(milestones.milestone_at) as qualified_at
        from core.milestones
        where milestones.conversation_id = sent.episode and milestones.milestone = 'qualified'
    ) as first_of_all
    union all
    select sent.campaign, sent.step, sent.sent_on, sent.accepted_at, sent.next_at, first_of_all.qualified_at
    from sent
    cross join lateral (
        select min(happened.occurred_at) as qualified_at
        from campaign.erased_events as happened
        where happened.customer_id = sent.customer_id and happened.name = 'qualified'
    ) as first_of_all
    where sent.goal_event = 'qualified'
)

select campaign, step, sent_on, count(*)
from credited
where qualified_at > accepted_at
    and qualified_at <= next_at
    and qualified_at <= cast(:as_of as timestamptz)
group by campaign, step, sent_on
