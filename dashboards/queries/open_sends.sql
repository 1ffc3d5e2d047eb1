/*
Messages of a campaign that are open right now, by the hour since which they are.

owner: evaluation
grain: one row per channel, state and hour
params:
  campaign: text - the campaign's name
returns:
  channel: text - the channel
  state: text - planned, retry_wait, in_flight, or unknown (in doubt)
  since: timestamptz - the hour in which they were claimed, or planned when never claimed
  sends: bigint - messages
*/
select channel, state, since, sends
from evaluation.open_sends
where campaign = :campaign
order by state, since, channel
