/*
One message of the ledger with its attempts and what the provider reported about each; no address.

owner: engineering
grain: one row per attempt, or one row when nothing was attempted
params:
  send_key: text - the key, or its first characters
returns:
  send_key: text - the key
  campaign: text - the campaign
  customer_id: text - who
  episode: text - which occasion
  step: text - the step or sub-step
  variant: text - whose words
  channel: text - how
  provider: text - who delivers
  state: text - state of the ledger
  reason: text nullable - why
  due_at: timestamptz - when it was due
  not_before: timestamptz - when it may leave
  expires_at: timestamptz - when it is too late
  planned_at: timestamptz - when it was planned
  claimed_at: timestamptz nullable - when it was last handed over
  accepted_at: timestamptz nullable - when the provider took it
  settled_at: timestamptz nullable - when its state became final
  template_version: text - the words
  payload_sha256: text nullable - what was said, as a hash
  voucher_code: text nullable - the code shown
  provider_message_id: text nullable - the provider's number
  attempt_no: int nullable - number of the attempt
  attempt_channel: text nullable - channel of the attempt
  attempt_outcome: text nullable - what was answered
  attempt_reason: text nullable - the provider's refusal
  attempt_decided_at: timestamptz nullable - decision clock of the attempt
  reports: text nullable - what the provider reported
*/
select
    sends.send_key, sends.campaign, sends.customer_id, sends.episode, sends.step, sends.variant, sends.channel,
    sends.provider, sends.state, sends.reason, sends.due_at, sends.not_before, sends.expires_at, sends.planned_at,
    sends.claimed_at, sends.accepted_at, sends.settled_at, sends.template_version, sends.payload_sha256,
    sends.voucher_code, sends.provider_message_id,
    attempts.attempt_no, attempts.channel as attempt_channel, attempts.outcome as attempt_outcome,
    attempts.reason as attempt_reason, attempts.decided_at as attempt_decided_at,
    (
        select string_agg(events.kind, ', ' order by events.occurred_at, events.kind)
        from campaign.provider_events as events
        where events.attempt_id = attempts.attempt_id
    ) as reports
from campaign.sends
left join campaign.attempts on attempts.send_key = sends.send_key
where starts_with(sends.send_key, cast(:send_key as text))
order by sends.send_key, attempts.attempt_no
limit 200
