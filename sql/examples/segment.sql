/*
Say in one sentence who these people are: those whose last purchase lies some days back.

owner: your team
grain: one row per customer
params:
  as_of: timestamptz - the moment the question is asked
  days: int = 30 - days since the last purchase
returns:
  customer_id: text unique - who
  anchor_at: timestamptz - the moment the steps of a campaign count from
  episode: text - what makes this occasion distinct: nobody is enrolled twice for the same text
  last_amount: numeric - what they spent then; messages may say {{ last_amount }}
*/
with last_purchases as (
    select distinct on (customer_id)
        customer_id,
        order_id,
        purchased_at,
        amount
    from facts.purchases
    where status = 'paid' and purchased_at <= :as_of
    order by customer_id, purchased_at desc, order_id
)

select
    customer_id,
    purchased_at + make_interval(days => :days) as anchor_at,
    order_id as episode,
    amount as last_amount
from last_purchases
where purchased_at + make_interval(days => :days) <= :as_of
