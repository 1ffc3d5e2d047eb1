/*
Count accepted WhatsApp messages by what they cost: free, charged at the price of that day, charged at a price nobody
told us, or reported as not delivered, which costs nothing. Amounts are kept per currency.

owner: engineering
grain: one row per campaign, step, day, country, category, standing and currency
params:
  as_of: timestamptz - the moment that is measured
*/
insert into evaluation.send_costs (
    campaign, step, sent_on, country, category, standing, currency, is_example, sends, cost
)
with told as (
    select
        measured.campaign,
        measured.step,
        measured.sent_on,
        send.price_country,
        -- What WhatsApp says counts more than what was noted when the message left.
        coalesce(reports.price_category, send.price_category) as price_category,
        coalesce(reports.billable, send.billable) as billable,
        coalesce(
            reports.failed_at <= cast(:as_of as timestamptz)
            and coalesce(
                least(reports.delivered_at, reports.opened_at, reports.replied_at) > cast(:as_of as timestamptz), true
            ),
            false
        ) as is_lost
    from measured_sends as measured
    inner join campaign.sends as send on send.send_key = measured.send_key
    left join campaign.message_reports as reports on reports.send_key = measured.send_key
    where measured.channel = 'whatsapp'
),

priced as (
    select
        told.campaign,
        told.step,
        told.sent_on,
        coalesce(told.price_country, '') as country,
        coalesce(told.price_category, '') as category,
        case
            when told.is_lost then 'not_delivered'
            when not told.billable then 'free'
            when price.price is null then 'no_price'
            else 'charged'
        end as standing,
        price.currency,
        price.price,
        price.is_example
    from told
    -- Whether one of before this was noted is charged nobody knows: it has no category, and so no price.
    left join lateral campaign.whatsapp_price(told.price_country, told.price_category, told.sent_on) as price
        on told.billable and not told.is_lost
)

select
    campaign, step, sent_on, country, category, standing, coalesce(currency, 'XXX'), coalesce(is_example, false),
    count(*), coalesce(sum(price), 0)
from priced
group by campaign, step, sent_on, country, category, standing, coalesce(currency, 'XXX'), coalesce(is_example, false)
