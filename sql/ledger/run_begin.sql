/*
Open a run.

owner: engineering
params:
  flow: text - reengage, dispatch, evaluate or ingest
  campaign: text nullable - the campaign, when the flow has one
  as_of: timestamptz - logical time of the run
  config_sha256: text nullable - the campaign as it was read
returns:
  run_id: bigint - its number
*/
insert into campaign.runs (flow, campaign, as_of, config_sha256)
values (cast(:flow as text), cast(:campaign as text), cast(:as_of as timestamptz), cast(:config_sha256 as text))
returning run_id
