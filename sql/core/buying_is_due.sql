/*
Whether everybody's purchase days must be summed up: never done, another margin, or all of them written at once since.

owner: engineering
grain: one row
params:
  margin_days: numeric - days beyond the usual gap before someone counts as late
returns:
  is_due: boolean - whether core/buying_fill must run
*/
select not exists (
    select from core.buying_filled
    where
        margin_days = :margin_days
        and days_filled_at >= (select coalesce(max(filled_at), '-infinity') from core.purchase_days_filled)
) as is_due
