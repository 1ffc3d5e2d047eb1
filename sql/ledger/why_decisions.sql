/*
What was decided about each step of an episode and in force at a moment, with the intent behind it.

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
*/
select
    decisions.step, decisions.state, decisions.reason, decisions.channel, decisions.gates, decisions.decided_at,
    decisions.run_id, sends.due_at, sends.not_before, sends.expires_at, sends.attempt_no,
    case when sends.accepted_at <= cast(:as_of as timestamptz) then sends.accepted_at end as accepted_at,
    sends.voucher_code, sends.send_key
from campaign.decisions
left join campaign.sends
    on sends.enrolment_id = decisions.enrolment_id
    and sends.step = decisions.step
where
    decisions.enrolment_id = cast(:enrolment_id as bigint)
    and decisions.decided_at <= cast(:as_of as timestamptz)
    and (decisions.superseded_at is null or decisions.superseded_at > cast(:as_of as timestamptz))
order by decisions.step, decisions.decision_id
