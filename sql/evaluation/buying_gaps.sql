/*
Count the purchase days of every month by the days since the purchase day before.

owner: engineering
grain: one row per month and number of days
*/
insert into evaluation.buying_gaps (month, days, purchase_days)
select month, days, sum(people)
from measured_buying
where what = 'again'
group by month, days
