/*
Keep the amounts and moments of purchases that some figure counts, under the random name and new numbers in the same
order: those within the longest window before or after an enrolment, or after a message.

owner: engineering
grain: one row per purchase
params:
  ids: text[] - every id of the person
  pseudonym: text - the random name
  hours: int - the longest window
  coupons: text[] - codes that campaigns' goals name; any other is left out
*/
insert into campaign.erased_purchases (
    order_id, customer_id, purchased_at, amount, currency, coupon_code
)
select
    cast(:pseudonym as text) || ':' || lpad(
        cast(
            row_number() over (order by purchases.order_id)
            + (select count(*) from campaign.erased_purchases where customer_id = cast(:pseudonym as text)) as text
        ),
        8, '0'
    ),
    cast(:pseudonym as text), purchases.purchased_at, purchases.amount, purchases.currency,
    case when purchases.coupon_code = any(cast(:coupons as text[])) then purchases.coupon_code end
from core.purchases
where
    purchases.customer_id = any(cast(:ids as text[]))
    and purchases.status = 'paid'
    and purchases.cancelled_by is null
    and (
        exists (
            select from campaign.enrolments
            where
                enrolments.customer_id = any(cast(:ids as text[]))
                and purchases.purchased_at
                between enrolments.enrolled_at - make_interval(hours => cast(:hours as int))
                and enrolments.enrolled_at + make_interval(hours => cast(:hours as int))
        )
        or exists (
            select from campaign.sends
            where
                sends.customer_id = any(cast(:ids as text[]))
                and purchases.purchased_at
                between coalesce(sends.accepted_at, sends.claimed_at)
                and coalesce(sends.accepted_at, sends.claimed_at) + make_interval(hours => cast(:hours as int))
        )
    )
