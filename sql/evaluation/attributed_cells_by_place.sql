/*
Count the accepted sends of each cell with the person's language and country.

owner: engineering
grain: one row per campaign, step, channel, variant, language, country and send day
*/
insert into evaluation.attributed_cells_by_place (
    campaign, step, channel, variant, language, country, sent_on, sends, pre_revenue, pre_revenue_squares
)
select
    campaign, step, channel, variant, language, country, sent_on,
    count(*), sum(pre_revenue), sum(pre_revenue * pre_revenue)
from measured_sends
group by campaign, step, channel, variant, language, country, sent_on
