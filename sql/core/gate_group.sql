/*
Lines of one order made one order: amounts summed, items joined, the first line stands for it. The same lines in any
sequence are the same order.

One unreadable line quarantines its whole order, since the sum would be wrong. Who, currency, status and what is
cancelled must agree.

owner: engineering
grain: one row per landed line
*/
with orders as (
    select
        order_id,
        min(line_no) as head_line_no,
        max(customer_id) as customer_id,
        min(purchased_at) as purchased_at,
        sum(amount) as amount,
        max(currency) as currency,
        max(status) as status,
        max(coupon_code) as coupon_code,
        max(updated_at) as updated_at,
        max(cancels) as cancels,
        bool_and(customer_known) as customer_known,
        (array_agg(array[reason, column_name] order by line_no) filter (where verdict = 'quarantined'))[1:1] as problem,
        min(customer_id) <> max(customer_id)
        or min(currency) <> max(currency)
        or min(status) <> max(status)
        or min(coupon_code) <> max(coupon_code)
        or min(cancels) <> max(cancels) as disagrees
    from lines
    where order_id is not null
    group by order_id
),

order_items as (
    select
        lines.order_id,
        jsonb_agg(item.value order by cast(item.value as text) collate "C") as items
    from lines
    cross join lateral jsonb_array_elements(
        case jsonb_typeof(lines.items) when 'array' then lines.items else jsonb_build_array(lines.items) end
    ) as item (value)
    where lines.order_id is not null and lines.items is not null
    group by lines.order_id
),

judged as (
    select
        orders.*,
        order_items.items,
        case
            when problem is not null then problem[1][1]
            when disagrees then 'order_lines_disagree'
            when raw.money(amount) is null then 'amount_overflow'
            when amount < 0 and status = 'paid' then 'negative_amount'
        end as reason,
        case
            when problem is not null then problem[1][2]
            when disagrees then null
            when raw.money(amount) is null or (amount < 0 and status = 'paid') then 'amount'
        end as column_name
    from orders
    left join order_items using (order_id)
)

select
    lines.line_no,
    lines.order_id,
    coalesce(judged.customer_id, lines.customer_id) as customer_id,
    coalesce(judged.purchased_at, lines.purchased_at) as purchased_at,
    raw.money(coalesce(judged.amount, lines.amount)) as amount,
    coalesce(judged.currency, lines.currency) as currency,
    coalesce(judged.status, lines.status) as status,
    coalesce(judged.coupon_code, lines.coupon_code) as coupon_code,
    coalesce(judged.items, lines.items) as items,
    coalesce(judged.updated_at, lines.updated_at) as updated_at,
    coalesce(judged.cancels, lines.cancels) as cancels,
    case when coalesce(judged.reason, lines.reason) is null then 'accepted' else 'quarantined' end as verdict,
    coalesce(judged.reason, lines.reason) as reason,
    case when judged.reason is not null then judged.column_name else lines.column_name end as column_name,
    coalesce(judged.customer_known, lines.customer_known) as customer_known,
    lines.is_trimmed,
    lines.is_repeated,
    lines.order_id is null or lines.line_no = judged.head_line_no as head
from lines
left join judged on lines.order_id = judged.order_id
