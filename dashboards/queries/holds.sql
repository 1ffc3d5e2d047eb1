/*
Why campaigns are held back or switched off right now, by the data gate or by a person.

owner: evaluation
grain: one row per campaign and cause
params:
  campaign: text = null - one campaign's name; left out: all of them
returns:
  campaign: text - the campaign's name; * for all of them
  cause: text - gate, paused or ended; `everything` is the switch for all campaigns
  reason: text nullable - what was said about it
  since: timestamptz - since when
*/
select campaign, 'gate' as cause, reason, since
from evaluation.holds
where campaign = coalesce(:campaign, campaign)
union all
select campaign, case when campaign = '*' then 'everything' else state end, reason, changed_at
from evaluation.campaign_states
where campaign in (coalesce(:campaign, campaign), '*')
    and state <> 'active'
order by since, campaign
