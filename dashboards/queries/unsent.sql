/*
Messages that will not leave any more, and why: caps, quiet hours, opt-outs, a refusal, a purchase before it was time.

owner: evaluation
grain: one row per campaign, channel, state and reason
params:
  campaign: text = null - one campaign's name; left out: all of them
returns:
  campaign: text - the campaign's name
  channel: text - the channel
  state: text - suppressed, rejected, cancelled, expired or abandoned
  reason: text - reason code; empty when the state says it all
  sends: numeric - messages
*/
select campaign, channel, state, reason, sum(sends) as sends
from evaluation.sends
where campaign = coalesce(:campaign, campaign)
    and state in ('suppressed', 'rejected', 'cancelled', 'expired', 'abandoned')
group by campaign, channel, state, reason
order by sum(sends) desc, campaign, channel, state, reason
