/*
End the open runs of a flow and campaign whose process is gone; called by the holder of their lock.

owner: engineering
params:
  flow: text - the flow
  campaign: text nullable - the campaign, when the flow has one
*/
update campaign.runs
set
    state = 'failed',
    finished_at = clock_timestamp(),
    counts = counts || jsonb_build_object('ended_by', 'the next run: its process was gone')
where
    flow = cast(:flow as text)
    and campaign is not distinct from cast(:campaign as text)
    and state = 'running'
