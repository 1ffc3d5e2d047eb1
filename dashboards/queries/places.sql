/*
Languages, countries and currencies that a campaign's page can be narrowed to.

owner: evaluation
grain: one row per kind and value, the largest first
params:
  campaign: text - the campaign's name
returns:
  kind: text - language, country or currency
  value: text - the language or country as the customers' source writes it (empty: not known); ISO 4217 code
  size: numeric - people enrolled and leads of the language or country; purchases in the currency
*/
select kind, value, size
from evaluation.places
where campaign = :campaign
order by kind, size desc, value
