/*
Remember that everybody's purchase days are new: what follows core/cycle_fill.

owner: engineering
grain: one row per customer with purchase days
*/
insert into core.purchase_days_changed (customer_id)
select customer_id
from core.purchase_days
where number = 1
on conflict (customer_id) do update
set changed_at = excluded.changed_at
