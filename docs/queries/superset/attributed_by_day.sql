/*
Messages by the day on which they left, and how many of them led to the goal within a window.

Superset: a virtual dataset whose temporal column is sent_on. Filters on campaign, channel, sent_on and window_hours act
within it.

One row per campaign, channel and day. Messages and conversions add up: divide conversions by sends afterwards. A day
with still_open above 0 may yet get conversions. A window longer than data_as_of.max_window_hours answers nothing.
*/
{% set hours = filter_values('window_hours', default='24', remove_filter=True) | first | int %}
{% set campaigns = filter_values('campaign', remove_filter=True) %}
{% set channels = filter_values('channel', remove_filter=True) %}
{% set days = get_time_filter('sent_on', target_type='DATE', remove_filter=True) %}
with cells as (
    select
        attributed_cells.campaign,
        attributed_cells.sent_on,
        attributed_cells.step,
        attributed_cells.channel,
        attributed_cells.variant,
        attributed_cells.sends,
        cast(attributed_cells.sent_on + 1 as timestamp) at time zone data_as_of.business_zone
        + {{ hours }} * interval '1 hour' > data_as_of.as_of as is_open
    from evaluation.attributed_cells
    cross join evaluation.data_as_of
    where {{ hours }} <= data_as_of.max_window_hours
        {% if campaigns %}and attributed_cells.campaign in {{ campaigns | where_in }}{% endif %}
        {% if channels %}and attributed_cells.channel in {{ channels | where_in }}{% endif %}
        {% if days.from_expr %}and attributed_cells.sent_on >= {{ days.from_expr }}{% endif %}
        {% if days.to_expr %}and attributed_cells.sent_on < {{ days.to_expr }}{% endif %}
),

goals as (
    select campaign, sent_on, step, channel, variant, sum(conversions) as conversions
    from evaluation.attributed
    where hours < {{ hours }}
        and campaign in (select cells.campaign from cells)
    group by campaign, sent_on, step, channel, variant
)

select
    cells.campaign,
    cells.channel,
    cells.sent_on,
    sum(cells.sends) as sends,
    coalesce(sum(goals.conversions), 0) as conversions,
    coalesce(sum(cells.sends) filter (where cells.is_open), 0) as still_open,
    {{ hours }} as window_hours
from cells
left join goals using (campaign, sent_on, step, channel, variant)
group by 1, 2, 3
order by 1, 2, 3
