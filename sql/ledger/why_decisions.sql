/*
What was decided about each step of an episode and in force at a moment, with the intent behind it. What is being handed
over right now keeps the decision it had until the answer is there; only the ledger knows that it left.

owner: engineering
grain: one row per step
params:
  enrolment_id: bigint - the enrolment
  as_of: timestamptz - the moment asked about
returns:
  step: text unique - the step or sub-step
  state: text - what was decided
  reason: text nullable - why
  channel: text nullable - how the person is reached
  gates: jsonb - every channel asked, in order, with its answer
  decided_at: timestamptz - when
  run_id: bigint nullable - by which run
  due_at: timestamptz nullable - when the message was due
  not_before: timestamptz nullable - when it may leave at the earliest, as known now
  expires_at: timestamptz nullable - until when it may wait
  attempt_no: int nullable - how often it was handed over
  accepted_at: timestamptz nullable - when the provider took it
  voucher_code: text nullable - the code in it
  send_key: text nullable - its key in the ledger
  refused: jsonb - channels and reasons of the attempts that a provider had refused by then, in their order
*/
select
    decisions.step,
    case when leaving.is_now then sends.state else decisions.state end as state,
    case when leaving.is_now then sends.reason else decisions.reason end as reason,
    case when leaving.is_now then sends.channel else decisions.channel end as channel,
    decisions.gates, decisions.decided_at, decisions.run_id,
    sends.due_at, sends.not_before, sends.expires_at, sends.attempt_no,
    case when sends.accepted_at <= cast(:as_of as timestamptz) then sends.accepted_at end as accepted_at,
    sends.voucher_code, sends.send_key,
    coalesce(
        (
            select
                jsonb_agg(
                    jsonb_build_object('channel', attempts.channel, 'reason', attempts.reason)
                    order by attempts.attempt_no
                )
            from campaign.attempts
            where
                attempts.send_key = sends.send_key
                and attempts.outcome = 'refused'
                and attempts.decided_at <= cast(:as_of as timestamptz)
        ),
        '[]'
    ) as refused
from campaign.decisions
left join campaign.sends
    on sends.enrolment_id = decisions.enrolment_id
    and sends.step = decisions.step
cross join lateral (
    select coalesce(sends.state = 'in_flight' and sends.claimed_at <= cast(:as_of as timestamptz), false) as is_now
) as leaving
where
    decisions.enrolment_id = cast(:enrolment_id as bigint)
    and decisions.decided_at <= cast(:as_of as timestamptz)
    and (decisions.superseded_at is null or decisions.superseded_at > cast(:as_of as timestamptz))
order by decisions.step, decisions.decision_id
