/*
Count the accepted sends of each cell, the denominators of the attributed figures.

owner: engineering
grain: one row per campaign, step, channel, variant and send day
*/
insert into evaluation.attributed_cells (
    campaign, step, channel, variant, sent_on, sends, pre_revenue, pre_revenue_squares
)
select
    campaign, step, channel, variant, sent_on,
    count(*), sum(pre_revenue), sum(pre_revenue * pre_revenue)
from measured_sends
group by campaign, step, channel, variant, sent_on
