/*
The latest moment for which this flow has completed.

owner: engineering
grain: one row
params:
  flow: text - the flow
  campaign: text nullable - the campaign, when the flow has one
returns:
  as_of: timestamptz nullable - its logical time
*/
select max(as_of) as as_of
from campaign.runs
where
    flow = cast(:flow as text)
    and campaign is not distinct from cast(:campaign as text)
    and state = 'completed'
