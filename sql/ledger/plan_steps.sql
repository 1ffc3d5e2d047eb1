/*
Every step of the episodes looked at (open_episodes) that is not settled, with what was decided and planned for it.

A step that needs no new answer (accepted, expired, holdout ...) is left out, so that the cost follows what is open.

owner: engineering
params:
  steps: jsonb - step or sub-step, variant, seconds after the anchor, channels in order, whether it is a last resort
  variants: text[] - variants the campaign has now; who was given another one gets the first
  expires_after_seconds: double precision - how long a step may wait for a way to be sent
*/
create temporary table open_steps on commit drop as
with steps as materialized (
    select step.variant, step.step, step.send_after_seconds, step.channels, step.is_last_resort
    from jsonb_to_recordset(cast(:steps as jsonb)) as step (
        variant text, step text, send_after_seconds double precision, channels text[], is_last_resort boolean
    )
),

due as materialized (
    select
        enrolments.enrolment_id, enrolments.customer_id, enrolments.episode, enrolments.arm, steps.variant,
        steps.step, steps.channels, steps.is_last_resort,
        enrolments.anchor_at + make_interval(secs => steps.send_after_seconds) as due_at,
        greatest(enrolments.anchor_at + make_interval(secs => steps.send_after_seconds), enrolments.enrolled_at)
        + make_interval(secs => cast(:expires_after_seconds as double precision)) as expires_at
    from open_episodes
    inner join campaign.enrolments on enrolments.enrolment_id = open_episodes.enrolment_id
    inner join steps
        on steps.variant = case
            when enrolments.variant = any(cast(:variants as text[])) then enrolments.variant
            else (cast(:variants as text[]))[1]
        end
    where
        enrolments.closed_at is null
        -- When a campaign changes between one channel and all viable ones, a step that left under its other name, or
        -- was dropped for good, is settled (I1).
        and not exists (
            select from campaign.sends as left_already
            where
                left_already.enrolment_id = enrolments.enrolment_id
                and (
                    left_already.state in ('in_flight', 'accepted', 'unknown', 'abandoned')
                    or (
                        left_already.state = 'suppressed'
                        and left_already.reason in ('quiet', 'outside_free_window', 'needs_template')
                    )
                )
                and split_part(left_already.step, '.', 1) = split_part(steps.step, '.', 1)
                and (strpos(left_already.step, '.') > 0) <> (strpos(steps.step, '.') > 0)
        )
)

select
    due.enrolment_id, due.customer_id, due.episode, due.arm, due.variant, due.step, due.channels, due.is_last_resort,
    due.due_at,
    -- what somebody planned again has the time it was given then
    greatest(due.expires_at, case when sends.resent_at is not null then sends.expires_at end) as expires_at,
    sends.send_key, sends.state as send_state, sends.reason as send_reason, sends.channel as send_channel,
    decisions.decision_id, decisions.state as decided_state, decisions.reason as decided_reason,
    decisions.channel as decided_channel, decisions.gates as decided_gates,
    -- what planning may still change: nothing left, nothing was refused, and no rule dropped it for good
    due.arm = 'treated'
    and (
        sends.state is null
        or sends.state = 'planned'
        or (
            sends.state = 'suppressed'
            and sends.reason in (
                'no_consent', 'no_address', 'suppressed_address', 'marketing_not_delivered', 'zone_unknown',
                'no_channel', 'other_channel'
            )
        )
        or (sends.state = 'cancelled' and sends.reason in ('left_segment', 'step_removed'))
    ) as is_open
from due
left join campaign.sends on sends.enrolment_id = due.enrolment_id and sends.step = due.step
left join campaign.decisions
    on decisions.enrolment_id = due.enrolment_id
    and decisions.step = due.step
    and decisions.superseded_at is null
where
    decisions.decision_id is null
    or decisions.state in ('planned', 'in_flight', 'retry_wait', 'unknown', 'suppressed', 'waiting')
    or (decisions.state = 'cancelled' and decisions.reason in ('left_segment', 'step_removed'))
    or sends.state <> decisions.state
