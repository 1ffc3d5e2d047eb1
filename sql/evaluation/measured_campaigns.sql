/*
Lay out the campaigns' goals, main currencies and ads for the statements of one measuring transaction (A23).

owner: engineering
grain: one row per campaign that the configuration knows
params:
  campaigns: jsonb - a list of {campaign, goal_event, goal_where, currency, is_retargeting, ads}
*/
create temporary table measured_campaigns on commit drop as
select campaign, goal_event, goal_where, currency, is_retargeting, ads
from jsonb_to_recordset(cast(:campaigns as jsonb)) as given(
    campaign text, goal_event text, goal_where jsonb, currency text, is_retargeting boolean, ads text[]
)
