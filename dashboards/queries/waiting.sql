/*
Open messages that wait for something, and for what: quiet hours, a cap, a pause, a provider.

owner: evaluation
grain: one row per campaign, channel, state and reason
params:
  campaign: text = null - one campaign's name; left out: all of them
returns:
  campaign: text - the campaign's name
  channel: text - the channel
  state: text - planned or retry_wait
  reason: text - reason code
  sends: bigint - messages
*/
select campaign, channel, state, reason, sends
from evaluation.waiting
where campaign = coalesce(:campaign, campaign)
order by campaign, sends desc, channel, reason
