/*
Purchases and revenue credited to the last message before them, within a window after it.

owner: evaluation
grain: one row per currency with a credited purchase
params:
  campaign: text - the campaign's name
  hours: int = 24 - attribution window in hours
  channel: text = null - messages of one channel; left out: of all
  variant: text = null - messages of one variant; left out: of all
  first_day: date = null - messages sent on this day or later; left out: from the first on
  last_day: date = null - messages sent on this day or earlier; left out: up to the last
  language: text = null - people who had this language when they were enrolled ('': not known); left out: everybody
  country: text = null - people who lived there when they were enrolled ('': not known); left out: everybody
returns:
  currency: text unique - ISO 4217 code
  purchases: numeric - purchases credited
  revenue: numeric - revenue credited
*/
with credited as (
    select channel, variant, currency, sent_on, hours, purchases, revenue
    from evaluation.attributed
    where campaign = :campaign
        and :language is null
        and :country is null
    union all
    select channel, variant, currency, sent_on, hours, purchases, revenue
    from evaluation.attributed_by_place
    where campaign = :campaign
        and (:language is not null or :country is not null)
        and language = coalesce(:language, language)
        and country = coalesce(:country, country)
)

select currency, sum(purchases) as purchases, sum(revenue) as revenue
from credited
where hours < :hours
    and channel = coalesce(:channel, channel)
    and variant = coalesce(:variant, variant)
    and sent_on between coalesce(:first_day, sent_on) and coalesce(:last_day, sent_on)
group by currency
having sum(purchases) > 0
order by sum(purchases) desc, currency
