/*
Note the share of people that an experiment version holds out, which the check of its groups asks for.

owner: engineering
grain: no rows
params:
  campaign: text - the campaign
  version: text - experiment version
  holdout: double precision - share of people who are never written to
*/
insert into campaign.experiments (campaign, experiment_version, holdout)
values (cast(:campaign as text), cast(:version as text), cast(:holdout as double precision))
on conflict (campaign, experiment_version) do nothing
