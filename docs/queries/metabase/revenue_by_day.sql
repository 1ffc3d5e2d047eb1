/*
Purchases and revenue credited to the last message before them within a window, by the day on which that message left.

Metabase: field filters campaign, channel and sent_on, mapped to those columns of Attributed Cells. Hours is a number
that is always required, 24 unless told otherwise.

One row per day and currency. Amounts of different currencies are never added. Refunded and cancelled purchases are not
in it. Attributed is not caused: the lift is. A window longer than data_as_of.max_window_hours answers nothing.
*/
with cells as (
    select
        attributed_cells.campaign,
        attributed_cells.sent_on,
        attributed_cells.step,
        attributed_cells.channel,
        attributed_cells.variant
    from evaluation.attributed_cells
    cross join evaluation.data_as_of
    where {{hours}} <= data_as_of.max_window_hours
        and {{campaign}}
        and {{channel}}
        and {{sent_on}}
)

select
    cells.sent_on,
    attributed.currency,
    sum(attributed.purchases) as purchases,
    sum(attributed.revenue) as revenue
from cells
inner join evaluation.attributed using (campaign, sent_on, step, channel, variant)
where attributed.hours < {{hours}}
group by 1, 2
having sum(attributed.purchases) > 0
order by 1, 2
