/*
Why a campaign is held back or switched off right now, by the data gate or by a person.

owner: evaluation
grain: one row per cause
params:
  campaign: text - the campaign's name
returns:
  cause: text - gate, paused or ended; `everything` is the switch for all campaigns
  reason: text nullable - what was said about it
  since: timestamptz - since when
*/
select 'gate' as cause, reason, since
from evaluation.holds
where campaign = :campaign
union all
select case when campaign = '*' then 'everything' else state end, reason, changed_at
from evaluation.campaign_states
where campaign in (:campaign, '*')
    and state <> 'active'
order by since
