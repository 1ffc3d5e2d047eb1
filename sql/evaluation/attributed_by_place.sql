/*
Add up what was credited to sends with the person's language and country, for shorter windows.

owner: engineering
grain: one row per campaign, step, channel, variant, language, country, currency, send day and hour since the send
params:
  max_window_hours_by_place: int - longest window at this grain
*/
insert into evaluation.attributed_by_place (
    campaign, step, channel, variant, language, country, currency, sent_on, hours,
    conversions, purchases, revenue, revenue_squares, revenue_by_pre
)
select
    campaign, step, channel, variant, language, country, currency, sent_on, hours,
    sum(conversions), sum(purchases), sum(revenue), sum(revenue_squares), sum(revenue_by_pre)
from attributed_entries
where hours < :max_window_hours_by_place
group by campaign, step, channel, variant, language, country, currency, sent_on, hours
