/*
What providers reported about accepted messages, by campaign, step and channel.

owner: evaluation
grain: one row per campaign, step and channel
params:
  campaign: text = null - one campaign's name; left out: all of them
returns:
  campaign: text - the campaign's name
  step: text - the step or sub-step
  channel: text - the channel
  accepted: bigint - messages the provider took
  delivered: bigint - of them, those that arrived
  opened: bigint - of them, those a person opened
  machine_opened: bigint - of them, those only a machine opened
  clicked: bigint - of them, those whose link was followed
  failed: bigint - of them, those that did not arrive
  complained: bigint - of them, those called spam
  unsubscribed: bigint - of them, those answered by an unsubscribe
  replied: bigint - of them, those answered
*/
select
    campaign, step, channel, accepted, delivered, opened, machine_opened, clicked, failed, complained, unsubscribed,
    replied
from evaluation.reports
where campaign = coalesce(:campaign, campaign)
order by campaign, step, channel
