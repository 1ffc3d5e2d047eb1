/*
Purchases and revenue credited to the last message before them within a window, by the day on which that message left.

Superset: a virtual dataset whose temporal column is sent_on. Filters on campaign, channel, sent_on and window_hours act
within it.

One row per campaign, channel, day and currency. Amounts of different currencies are never added. Refunded and cancelled
purchases are not in it. Attributed is not caused: the lift is. A window longer than data_as_of.max_window_hours answers
nothing.
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
        attributed_cells.variant
    from evaluation.attributed_cells
    cross join evaluation.data_as_of
    where {{ hours }} <= data_as_of.max_window_hours
        {% if campaigns %}and attributed_cells.campaign in {{ campaigns | where_in }}{% endif %}
        {% if channels %}and attributed_cells.channel in {{ channels | where_in }}{% endif %}
        {% if days.from_expr %}and attributed_cells.sent_on >= {{ days.from_expr }}{% endif %}
        {% if days.to_expr %}and attributed_cells.sent_on < {{ days.to_expr }}{% endif %}
)

select
    cells.campaign,
    cells.channel,
    cells.sent_on,
    attributed.currency,
    sum(attributed.purchases) as purchases,
    sum(attributed.revenue) as revenue,
    {{ hours }} as window_hours
from cells
inner join evaluation.attributed using (campaign, sent_on, step, channel, variant)
where attributed.hours < {{ hours }}
group by 1, 2, 3, 4
having sum(attributed.purchases) > 0
order by 1, 2, 3, 4
