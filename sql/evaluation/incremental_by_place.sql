/*
Add up what people of each arm did after enrolment with their language and country, for shorter windows.

owner: engineering
grain: one row per campaign, experiment version, arm, variant, language, country, currency, enrolment day and hour
params:
  max_window_hours_by_place: int - longest window at this grain
*/
insert into evaluation.incremental_by_place (
    campaign, experiment_version, arm, variant, language, country, currency, enrolled_on, hours,
    conversions, purchases, revenue, revenue_squares, revenue_by_pre
)
select
    campaign, experiment_version, arm, variant, language, country, currency, enrolled_on, hours,
    sum(conversions), sum(purchases), sum(revenue), sum(revenue_squares), sum(revenue_by_pre)
from incremental_entries
where hours < :max_window_hours_by_place
group by campaign, experiment_version, arm, variant, language, country, currency, enrolled_on, hours
