/*
Count the buyers of every month who bought again after it, by the days since their last purchase in it.

owner: engineering
grain: one row per month and number of days
*/
insert into evaluation.bought_again (month, days, people)
select since_month, days, sum(people)
from measured_buying
where what = 'again' and since_month < month
group by since_month, days
