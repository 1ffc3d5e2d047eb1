/*
How many messages are in which state, and how old the oldest doubt is.

owner: engineering
grain: one row per state and reason
params:
  campaign: text nullable - one campaign only
  at: timestamptz - the moment ages are counted to
returns:
  state: text - state of the ledger
  reason: text nullable - why
  messages: bigint - how many
  oldest_doubt_hours: numeric nullable - age of the oldest one in doubt
*/
select
    state, reason, count(*) as messages,
    case
        when state in ('in_flight', 'unknown')
            then round(cast(extract(epoch from cast(:at as timestamptz) - min(claimed_at)) / 3600 as numeric), 1)
    end as oldest_doubt_hours
from campaign.sends
where cast(:campaign as text) is null or campaign = cast(:campaign as text)
group by state, reason
order by state, reason nulls first
