/*
One verdict per open step: the first viable channel in order, or the reason why nothing leaves.

What has left planning (in flight, accepted ...) is repeated as the ledger has it. Where no channel is viable, the
reason is that of the channel that came furthest. Episodes that are closed, and steps the campaign no longer has, end
as cancelled.

owner: engineering
params:
  campaign: text - the campaign
  as_of: timestamptz - decision clock
  steps: jsonb - the steps the campaign has now
*/
create temporary table verdicts on commit drop as
with picked as (
    select
        open_steps.*, offers.refusals, offers.gates,
        case
            when open_steps.is_last_resort and offers.viable && array['email', 'push'] then null
            else (
                select asked.channel
                from unnest(open_steps.channels) with ordinality as asked (channel, place)
                where asked.channel = any(offers.viable)
                order by asked.place
                limit 1
            )
        end as picked_channel,
        coalesce(open_steps.is_last_resort and offers.viable && array['email', 'push'], false) as is_spared
    from open_steps
    left join people_ids on people_ids.customer_id = open_steps.customer_id
    left join offers on offers.person_id = people_ids.person_id
),

judged as (
    select
        picked.*,
        case
            when picked.arm = 'holdout' then 'holdout'
            when not picked.is_open then picked.send_state
            when picked.expires_at <= cast(:as_of as timestamptz) then 'expired'
            when picked.picked_channel is not null then 'planned'
            else 'suppressed'
        end as state
    from picked
),

explained as (
    select
        judged.enrolment_id, judged.customer_id, judged.episode, judged.arm, judged.variant, judged.step,
        judged.due_at, judged.expires_at, judged.send_state, judged.decision_id, judged.decided_state,
        judged.decided_reason, judged.decided_channel, judged.decided_gates, judged.state,
        case
            when judged.state = 'planned' and judged.send_state = 'planned' then judged.send_reason
            when judged.state in ('planned', 'holdout', 'expired') and judged.is_open then null
            when not judged.is_open then judged.send_reason
            when judged.is_spared then 'other_channel'
            else coalesce(
                (
                    select judged.refusals ->> asked.channel
                    from unnest(judged.channels) as asked (channel)
                    order by array_position(
                        array['no_consent', 'no_address', 'suppressed_address', 'zone_unknown'],
                        judged.refusals ->> asked.channel
                    ) desc nulls last
                    limit 1
                ),
                'no_channel'
            )
        end as reason,
        case
            when judged.state = 'planned' then judged.picked_channel
            when not judged.is_open then judged.send_channel
        end as channel,
        coalesce(case when judged.is_open then judged.gates end, judged.decided_gates, '[]') as gates
    from judged
),

-- Decisions of closed episodes, and of steps that are gone, which still say that something may happen.
over as (
    select
        decisions.enrolment_id, decisions.customer_id, decisions.episode, enrolments.arm, enrolments.variant,
        decisions.step, sends.due_at, sends.expires_at, sends.state as send_state, decisions.decision_id,
        decisions.state as decided_state, decisions.reason as decided_reason, decisions.channel as decided_channel,
        decisions.gates as decided_gates,
        case
            when sends.state is null or sends.state in ('planned', 'retry_wait', 'suppressed') then 'cancelled'
            else sends.state
        end as state,
        case
            when sends.state is not null and sends.state not in ('planned', 'retry_wait', 'suppressed')
                then sends.reason
            when enrolments.closed_at is null then 'step_removed'
            when enrolments.close_reason = 'goal' then 'stop_event'
            else enrolments.close_reason
        end as reason,
        decisions.channel,
        decisions.gates
    from campaign.decisions
    inner join campaign.enrolments on enrolments.enrolment_id = decisions.enrolment_id
    left join campaign.sends
        on sends.enrolment_id = decisions.enrolment_id
        and sends.step = decisions.step
    where
        decisions.campaign = cast(:campaign as text)
        and decisions.superseded_at is null
        and decisions.state in ('planned', 'in_flight', 'retry_wait', 'unknown', 'suppressed', 'waiting')
        and (
            enrolments.closed_at is not null
            or decisions.step not in (
                select step.step from jsonb_to_recordset(cast(:steps as jsonb)) as step (step text)
            )
        )
)

select
    explained.*,
    (explained.decided_state, explained.decided_reason, explained.decided_channel, explained.decided_gates)
    is distinct from (explained.state, explained.reason, explained.channel, explained.gates) as is_changed
from explained
union all
select
    over.*,
    (over.decided_state, over.decided_reason) is distinct from (over.state, over.reason) as is_changed
from over
