/*
Add up what was credited to sends, per cell, currency and whole hour since the send.

owner: engineering
grain: one row per campaign, step, channel, variant, currency, send day and hour since the send
*/
insert into evaluation.attributed (
    campaign, step, channel, variant, currency, sent_on, hours,
    conversions, purchases, revenue, revenue_squares, revenue_by_pre
)
select
    campaign, step, channel, variant, currency, sent_on, hours,
    sum(conversions), sum(purchases), sum(revenue), sum(revenue_squares), sum(revenue_by_pre)
from attributed_entries
group by campaign, step, channel, variant, currency, sent_on, hours
