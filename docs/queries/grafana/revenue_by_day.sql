/*
Purchases and revenue credited to the last message before them within a window, by the day on which that message left.

Grafana: format Time series, variables campaign, channel (both may be several) and hours.

One row per day and currency. Amounts of different currencies are never added. Refunded and cancelled purchases are not
in it. Attributed is not caused: the lift is. A window longer than data_as_of.max_window_hours answers nothing.
*/
with cells as (
    select
        attributed_cells.campaign,
        attributed_cells.sent_on,
        attributed_cells.step,
        attributed_cells.channel,
        attributed_cells.variant,
        cast(attributed_cells.sent_on as timestamp) at time zone data_as_of.business_zone as began_at
    from evaluation.attributed_cells
    cross join evaluation.data_as_of
    where ${hours} <= data_as_of.max_window_hours
        and attributed_cells.campaign in (${campaign:sqlstring})
        and attributed_cells.channel in (${channel:sqlstring})
)

select
    cells.began_at as time,
    attributed.currency,
    sum(attributed.purchases) as purchases,
    sum(attributed.revenue) as revenue
from cells
inner join evaluation.attributed using (campaign, sent_on, step, channel, variant)
where attributed.hours < ${hours}
    and $__timeFilter(cells.began_at)
group by 1, 2
having sum(attributed.purchases) > 0
order by 1, 2
