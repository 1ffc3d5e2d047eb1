/*
Did it make a difference: people treated against people held out, within a window since enrolment.

Superset: a virtual dataset. Filters on campaign and window_hours act within it. Show rows as they are, unaggregated.

One row per campaign and experiment version, which are never added up. A person counts when the window has passed for
everybody enrolled on their day, and the others are still maturing. Rates are shares of the people of a group, and the
difference is treated less held out, in the interval of Newcombe that holds the truth in 95 of 100 experiments. Groups
whose sizes differ from the planned share by more than chance does once in 1,000 experiments are not compared. Of twenty
campaigns that do nothing, one is called better or worse all the same, which the overview of the dashboard allows for. A
window longer than data_as_of.max_window_hours answers nothing.
*/
{% set hours = filter_values('window_hours', default='24', remove_filter=True) | first | int %}
{% set campaigns = filter_values('campaign', remove_filter=True) %}
with cells as (
    select
        incremental_cells.campaign,
        incremental_cells.experiment_version,
        incremental_cells.arm,
        incremental_cells.variant,
        incremental_cells.enrolled_on,
        incremental_cells.people,
        incremental_cells.enrolled_until + {{ hours }} * interval '1 hour' <= data_as_of.as_of as is_past
    from evaluation.incremental_cells
    cross join evaluation.data_as_of
    where {{ hours }} <= data_as_of.max_window_hours
        {% if campaigns %}and incremental_cells.campaign in {{ campaigns | where_in }}{% endif %}
),

goals as (
    select campaign, experiment_version, arm, variant, enrolled_on, sum(conversions) as conversions
    from evaluation.incremental
    where hours < {{ hours }}
        and campaign in (select cells.campaign from cells)
    group by campaign, experiment_version, arm, variant, enrolled_on
),

-- 1 is the treated, 2 the people held out.
both_arms as (
    select
        campaign,
        experiment_version,
        min(enrolled_on) as first_enrolled_on,
        cast(sum(people) as double precision) as enrolled,
        cast(sum(people) filter (where arm = 'holdout') as double precision) as held_out,
        cast(sum(people) filter (where arm = 'treated' and is_past) as double precision) as n1,
        cast(sum(people) filter (where arm = 'holdout' and is_past) as double precision) as n2,
        coalesce(sum(conversions) filter (where arm = 'treated' and is_past), 0) as k1,
        coalesce(sum(conversions) filter (where arm = 'holdout' and is_past), 0) as k2
    from cells
    left join goals using (campaign, experiment_version, arm, variant, enrolled_on)
    group by campaign, experiment_version
),

judged as (
    select
        both_arms.*,
        case
            when coalesce(held_out, 0) in (0, enrolled) then 'nobody is held out'
            when experiments.holdout in (0, 1)
                or (held_out - enrolled * experiments.holdout) ^ 2
                > 10.827566 * enrolled * experiments.holdout * (1 - experiments.holdout)
                then 'groups do not match'
            when not exists (
                select 1
                from evaluation.reached_people
                where reached_people.campaign = both_arms.campaign
                    and reached_people.grain = 'campaign'
                    and reached_people.people > 0
            ) then 'nobody reached yet'
            when n1 is null or n2 is null then 'not enough people'
        end as not_compared
    from both_arms
    left join evaluation.experiments using (campaign, experiment_version)
),

rates as (
    select
        judged.*,
        k1 / n1 as rate1,
        k2 / n2 as rate2,
        1.959963984540054 as z
    from judged
),

wilson as (
    select
        rates.*,
        (rate1 + z ^ 2 / (2 * n1)) / (1 + z ^ 2 / n1) as centre1,
        (rate2 + z ^ 2 / (2 * n2)) / (1 + z ^ 2 / n2) as centre2,
        z * sqrt(rate1 * (1 - rate1) / n1 + z ^ 2 / (4 * n1 ^ 2)) / (1 + z ^ 2 / n1) as half1,
        z * sqrt(rate2 * (1 - rate2) / n2 + z ^ 2 / (4 * n2 ^ 2)) / (1 + z ^ 2 / n2) as half2
    from rates
),

compared as (
    select
        wilson.*,
        rate1 - rate2 as difference,
        rate1 - rate2 - sqrt((rate1 - centre1 + half1) ^ 2 + (centre2 + half2 - rate2) ^ 2) as low,
        rate1 - rate2 + sqrt((centre1 + half1 - rate1) ^ 2 + (rate2 - centre2 + half2) ^ 2) as high
    from wilson
    where not_compared is null
)

select
    judged.campaign,
    judged.experiment_version,
    judged.first_enrolled_on,
    cast(judged.enrolled as bigint) as enrolled,
    cast(judged.enrolled - coalesce(judged.n1, 0) - coalesce(judged.n2, 0) as bigint) as still_maturing,
    cast(compared.n1 as bigint) as treated_people,
    cast(compared.k1 as bigint) as treated_conversions,
    compared.rate1 as treated_rate,
    cast(compared.n2 as bigint) as held_out_people,
    cast(compared.k2 as bigint) as held_out_conversions,
    compared.rate2 as held_out_rate,
    compared.difference,
    compared.low as difference_low,
    compared.high as difference_high,
    case
        when judged.not_compared is not null then judged.not_compared
        when compared.low > 0 then 'better'
        when compared.high < 0 then 'worse'
        else 'not conclusive yet'
    end as verdict,
    {{ hours }} as window_hours
from judged
left join compared using (campaign, experiment_version)
order by judged.campaign, judged.first_enrolled_on desc, judged.experiment_version
