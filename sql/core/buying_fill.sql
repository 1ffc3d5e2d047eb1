/*
Sum up everybody's purchase days, into the emptied table; from then on core/cycle_refresh keeps the sums.

owner: engineering
grain: one row per kind, day and days between
params:
  margin_days: numeric - days beyond the usual gap before someone counts as late
*/
with filled as (
    insert into core.buying_filled (margin_days, days_filled_at)
    select :margin_days, coalesce(max(filled_at), '-infinity')
    from core.purchase_days_filled
    on conflict (one) do update
    set margin_days = excluded.margin_days, days_filled_at = excluded.days_filled_at
)

insert into core.buying (what, happened_on, days, people)
select
    found.what,
    found.happened_on,
    found.days,
    count(*)
from core.purchase_days as standing
cross join
    lateral core.buying_of(
        standing.day, standing.number, standing.next_day, standing.expected_on, cast(:margin_days as numeric)
    ) as found
group by found.what, found.happened_on, found.days
