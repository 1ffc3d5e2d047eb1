/*
One verdict per open step: the first viable channel in order, or the reason why nothing leaves.

What has left planning (in flight, accepted ...) is repeated as the ledger has it. Where no channel is viable, the
reason is that of the channel that came furthest. Episodes that are closed, and steps the campaign no longer has, end
as cancelled. When a campaign changes between one channel and all viable ones, its steps get other names: what left
under the earlier name stands, every other decision about it makes way (is_replaced). What a rule dropped for good
keeps its reason also when its episode closes, which may open again.

owner: engineering
params:
  campaign: text - the campaign
  as_of: timestamptz - decision clock
  steps: jsonb - the steps the campaign has now
*/
create temporary table verdicts on commit drop as
with current_steps as materialized (
    select distinct
        step.step, split_part(step.step, '.', 1) as step_no, strpos(step.step, '.') > 0 as is_sub_step
    from jsonb_to_recordset(cast(:steps as jsonb)) as step (step text)
),

picked as (
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
                        array[
                            'no_consent', 'no_address', 'suppressed_address', 'marketing_not_delivered', 'zone_unknown'
                        ],
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

-- Decisions about steps that have other names now; none, unless the campaign changed how it reaches people.
renamed as materialized (
    select decisions.decision_id
    from open_episodes
    inner join campaign.enrolments on enrolments.enrolment_id = open_episodes.enrolment_id
    inner join campaign.decisions
        on decisions.enrolment_id = enrolments.enrolment_id
        and decisions.superseded_at is null
    where
        enrolments.closed_at is null
        and (split_part(decisions.step, '.', 1), strpos(decisions.step, '.') = 0) in (
            select current_steps.step_no, current_steps.is_sub_step from current_steps
        )
),

-- Decisions of closed episodes, and of steps that are gone, which still say that something may happen.
unfinished as materialized (
    select decisions.decision_id
    from campaign.decisions
    -- one by one: how few are unsettled, no statistics say
    cross join lateral (
        select enrolments.closed_at
        from campaign.enrolments
        where enrolments.enrolment_id = decisions.enrolment_id
        offset 0
    ) as enrolments
    where
        decisions.campaign = cast(:campaign as text)
        and decisions.superseded_at is null
        and decisions.state in ('planned', 'in_flight', 'retry_wait', 'unknown', 'suppressed', 'waiting')
        and not (
            decisions.state = 'suppressed'
            and coalesce(decisions.reason, '') in ('quiet', 'outside_free_window', 'needs_template')
        )
        and (
            enrolments.closed_at is not null
            or decisions.step not in (select current_steps.step from current_steps)
        )
),

ending as (
    select
        decisions.enrolment_id, decisions.customer_id, decisions.episode, enrolments.arm, enrolments.variant,
        decisions.step, sends.due_at, sends.expires_at, sends.state as send_state, sends.reason as send_reason,
        decisions.decision_id, decisions.state as decided_state, decisions.reason as decided_reason,
        decisions.channel as decided_channel, decisions.gates as decided_gates,
        enrolments.closed_at, enrolments.close_reason,
        decisions.decision_id in (select renamed.decision_id from renamed) as is_renamed,
        coalesce(
            sends.state in ('in_flight', 'accepted', 'unknown', 'abandoned')
            or (
                sends.state = 'suppressed'
                and sends.reason in ('quiet', 'outside_free_window', 'needs_template')
            ),
            false
        ) as is_settled
    from (
        select unfinished.decision_id
        from unfinished
        union
        select renamed.decision_id
        from renamed
    ) as found
    inner join campaign.decisions on decisions.decision_id = found.decision_id
    inner join campaign.enrolments on enrolments.enrolment_id = decisions.enrolment_id
    left join campaign.sends
        on sends.enrolment_id = decisions.enrolment_id
        and sends.step = decisions.step
),

over as (
    select
        enrolment_id, customer_id, episode, arm, variant, step, due_at, expires_at, send_state, decision_id,
        decided_state, decided_reason, decided_channel, decided_gates,
        case
            when is_settled then send_state
            when send_state is null or send_state in ('planned', 'retry_wait', 'suppressed') then 'cancelled'
            else send_state
        end as state,
        case
            when is_settled then send_reason
            when send_state is not null and send_state not in ('planned', 'retry_wait', 'suppressed') then send_reason
            when closed_at is null then 'step_removed'
            when close_reason = 'goal' then 'stop_event'
            else close_reason
        end as reason,
        decided_channel as channel,
        decided_gates as gates,
        is_renamed and not is_settled as is_replaced
    from ending
)

select
    explained.*,
    false as is_replaced,
    (explained.decided_state, explained.decided_reason, explained.decided_channel, explained.decided_gates)
    is distinct from (explained.state, explained.reason, explained.channel, explained.gates) as is_changed
from explained
union all
select
    over.*,
    over.is_replaced
    or (over.decided_state, over.decided_reason) is distinct from (over.state, over.reason) as is_changed
from over
