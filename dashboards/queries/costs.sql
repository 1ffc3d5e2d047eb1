/*
What a campaign's accepted WhatsApp messages cost; amounts of different currencies are never added.

owner: evaluation
grain: one row per step, standing, country without a price, and currency
params:
  campaign: text - the campaign's name
returns:
  step: text - the step or sub-step
  standing: text - free, charged, no_price or not_delivered
  country: text - of numbers without a price; empty for the others, and where it is not known
  category: text - of messages without a price; empty for the others, and where it is not known
  currency: text - ISO 4217 code; XXX unless charged
  is_example: boolean - whether the price is made up
  sends: numeric - messages
  cost: numeric - what they cost together
*/
select
    step,
    standing,
    case when standing = 'no_price' then country else '' end as country,
    case when standing = 'no_price' then category else '' end as category,
    currency,
    is_example,
    sum(sends) as sends,
    sum(cost) as cost
from evaluation.send_costs
where campaign = :campaign
group by 1, 2, 3, 4, 5, 6
order by 1, 2, 3, 4, 5, 6
