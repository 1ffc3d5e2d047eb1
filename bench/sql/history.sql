/*
Purchases of so many customers over a thousand days up to the last one: personal rhythms, drop-outs, in time order.

The number of purchases is geometric with a mean near 4.3, a customer's mean gap is 5 days plus an exponential of 45,
gaps are exponential around it. The same seed gives the same purchases.

owner: engineering
grain: one row per purchase
params:
  customers: int - how many people may buy
  last_day: date - the day after the last purchase
*/
insert into core.purchases (
    order_id, customer_id, purchased_at, amount, currency, status, updated_at, load_id
)
select
    'o' || lpad(cast(row_number() over (order by purchased_at) as text), 9, '0'),
    customer_id,
    purchased_at,
    amount,
    'EUR',
    'paid',
    purchased_at,
    0
from (
    select
        'c' || lpad(cast(number as text), 8, '0') as customer_id,
        cast(:last_day as timestamp) at time zone 'UTC' - interval '1000 days'
        + (start + sum(gap) over (partition by number order by purchase)) * interval '1 day' as purchased_at,
        round(cast(5 + 95 * random() as numeric), 2) as amount
    from (
        select
            number,
            purchase,
            start,
            case when purchase = 1 then 0 else -ln(1 - random()) * mean_gap end as gap
        from (
            select
                number,
                random() * 1000 as start,
                least(ceil(-ln(1 - random()) * 5.2), 60) as purchases,
                5 - ln(1 - random()) * 45 as mean_gap
            from generate_series(1, cast(:customers as integer)) as number
        ) as people
        cross join lateral generate_series(1, cast(purchases as integer)) as purchase
    ) as gaps
) as planned
where purchased_at < cast(:last_day as timestamp) at time zone 'UTC'
order by purchased_at
