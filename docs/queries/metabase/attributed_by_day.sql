/*
Messages by the day on which they left, and how many of them led to the goal within a window.

Metabase: field filters campaign, channel and sent_on, mapped to those columns of Attributed Cells. Hours is a number
that is always required, 24 unless told otherwise.

One row per day. Messages and conversions add up: divide conversions by sends afterwards. A day with still_open above 0
may yet get conversions. A window longer than data_as_of.max_window_hours answers nothing.
*/
with cells as (
    select
        attributed_cells.campaign,
        attributed_cells.sent_on,
        attributed_cells.step,
        attributed_cells.channel,
        attributed_cells.variant,
        attributed_cells.sends,
        cast(attributed_cells.sent_on + 1 as timestamp) at time zone data_as_of.business_zone
        + {{hours}} * interval '1 hour' > data_as_of.as_of as is_open
    from evaluation.attributed_cells
    cross join evaluation.data_as_of
    where {{hours}} <= data_as_of.max_window_hours
        and {{campaign}}
        and {{channel}}
        and {{sent_on}}
),

goals as (
    select campaign, sent_on, step, channel, variant, sum(conversions) as conversions
    from evaluation.attributed
    where hours < {{hours}}
        and campaign in (select cells.campaign from cells)
    group by campaign, sent_on, step, channel, variant
)

select
    cells.sent_on,
    sum(cells.sends) as sends,
    coalesce(sum(goals.conversions), 0) as conversions,
    coalesce(sum(cells.sends) filter (where cells.is_open), 0) as still_open
from cells
left join goals using (campaign, sent_on, step, channel, variant)
group by 1
order by 1
