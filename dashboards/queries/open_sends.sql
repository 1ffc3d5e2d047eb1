/*
Messages that are open right now, by the hour since which they are.

owner: evaluation
grain: one row per campaign, channel, state and hour
params:
  campaign: text = null - one campaign's name; left out: all of them
returns:
  campaign: text - the campaign's name
  channel: text - the channel
  state: text - planned, retry_wait, in_flight, or unknown (in doubt)
  since: timestamptz - the hour in which they were claimed, or planned when never claimed
  sends: bigint - messages
*/
select campaign, channel, state, since, sends
from evaluation.open_sends
where campaign = coalesce(:campaign, campaign)
order by campaign, state, since, channel
