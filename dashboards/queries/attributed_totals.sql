/*
Purchases and revenue credited to the last message before them, within a window after it.

owner: evaluation
grain: one row per currency with a credited purchase
params:
  campaign: text - the campaign's name
  hours: int = 24 - attribution window in hours
returns:
  currency: text unique - ISO 4217 code
  purchases: numeric - purchases credited
  revenue: numeric - revenue credited
*/
select currency, sum(purchases) as purchases, sum(revenue) as revenue
from evaluation.attributed
where campaign = :campaign
    and hours < :hours
group by currency
having sum(purchases) > 0
order by sum(purchases) desc, currency
