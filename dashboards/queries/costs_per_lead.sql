/*
What a newly qualified lead cost in WhatsApp messages, per step and over all; a lead counts for the last message before
it, and its cost is that of all messages of the step, whoever got them.

owner: evaluation
grain: one row per step and currency, and one per currency over all steps
params:
  campaign: text - the campaign's name
returns:
  step: text nullable - the step or sub-step; null: all of them together
  currency: text nullable - ISO 4217 code; null: nothing of a known price was charged
  cost: numeric - what the messages of a known price cost
  leads: numeric - people who qualified after one of its messages, on whatever channel
  cost_per_lead: numeric nullable - null while nobody qualified, and where there is no currency
  no_price: numeric - messages that are charged at a price nobody told us
*/
with steps as (
    select step from evaluation.send_costs where campaign = :campaign
    union
    select step from evaluation.qualified_leads where campaign = :campaign
),

leads as (
    select step, sum(leads) as leads
    from evaluation.qualified_leads
    where campaign = :campaign
    group by step
),

unpriced as (
    select step, sum(sends) as sends
    from evaluation.send_costs
    where campaign = :campaign and standing = 'no_price'
    group by step
),

-- A step without costs in a currency has none of it, and its leads still count over all steps.
currencies as (
    select distinct currency
    from evaluation.send_costs
    where campaign = :campaign and standing = 'charged'
),

costs as (
    select step, currency, sum(cost) as cost
    from evaluation.send_costs
    where campaign = :campaign and standing = 'charged'
    group by step, currency
),

together as (
    select
        steps.step,
        currencies.currency,
        sum(coalesce(costs.cost, 0)) as cost,
        sum(coalesce(leads.leads, 0)) as leads,
        sum(coalesce(unpriced.sends, 0)) as no_price
    from steps
    left join currencies on true
    left join costs on costs.step = steps.step and costs.currency = currencies.currency
    left join leads on leads.step = steps.step
    left join unpriced on unpriced.step = steps.step
    group by grouping sets ((steps.step, currencies.currency), (currencies.currency))
)

select
    step, currency, cost, leads,
    case when currency is not null then round(cost / nullif(leads, 0), 6) end as cost_per_lead,
    no_price
from together
order by step nulls last, currency
