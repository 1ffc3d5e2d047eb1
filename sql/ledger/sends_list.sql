/*
Messages of the ledger, newest first, without addresses; those in doubt with their age.

owner: engineering
grain: one row per send
params:
  state: text nullable - one state only
  campaign: text nullable - one campaign only
  channel: text nullable - one channel only
  at: timestamptz - the moment ages are counted to
  most: bigint nullable - at most so many rows
returns:
  send_key: text unique - the key
  campaign: text - the campaign
  customer_id: text - who
  step: text - the step or sub-step
  channel: text - how
  state: text - state of the ledger
  reason: text nullable - why
  due_at: timestamptz - when it was due
  not_before: timestamptz - when it may leave
  claimed_at: timestamptz nullable - when it was last handed over
  accepted_at: timestamptz nullable - when the provider took it
  billable: boolean nullable - whether WhatsApp charges for it, by its own word where it said so; null: nobody knows yet
  hours_in_doubt: numeric nullable - since when nobody knows whether it was accepted
  found: bigint - rows that match, before the limit
*/
select
    sends.send_key, sends.campaign, sends.customer_id, sends.step, sends.channel, sends.state, sends.reason,
    sends.due_at, sends.not_before, sends.claimed_at, sends.accepted_at,
    coalesce(reports.billable, sends.billable) as billable,
    case
        when sends.state in ('in_flight', 'unknown')
            then round(cast(extract(epoch from cast(:at as timestamptz) - sends.claimed_at) / 3600 as numeric), 1)
    end as hours_in_doubt,
    count(*) over () as found
from campaign.sends
left join campaign.message_reports as reports on reports.send_key = sends.send_key
where
    (cast(:state as text) is null or sends.state = cast(:state as text))
    and (cast(:campaign as text) is null or sends.campaign = cast(:campaign as text))
    and (cast(:channel as text) is null or sends.channel = cast(:channel as text))
order by sends.due_at desc, sends.send_key
limit cast(:most as bigint)
