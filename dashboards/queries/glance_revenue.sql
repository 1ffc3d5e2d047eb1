/*
Purchases and revenue of every campaign, credited to the last message before them within a window after it.

owner: evaluation
grain: one row per campaign and currency with a credited purchase
params:
  hours: int = 24 - attribution window in hours
returns:
  campaign: text - the campaign's name
  currency: text - ISO 4217 code
  purchases: numeric - purchases credited
  revenue: numeric - revenue credited
*/
select campaign, currency, sum(purchases) as purchases, sum(revenue) as revenue
from evaluation.attributed
where hours < :hours
group by campaign, currency
having sum(purchases) > 0
order by campaign, sum(purchases) desc, currency
