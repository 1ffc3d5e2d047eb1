/*
Purchases of one load as they were landed, read line by line: typed values, and what is wrong with a line.

The first finding in the order of the columns is its reason. The offsets keep each value from being read again for
every use of it; written as a bigint they are known to skip nothing, and the lines are read in parallel.

owner: engineering
grain: one row per landed line
params:
  latest: timestamptz - the run's logical time and five minutes for clocks that differ
  zone: text nullable - zone of times without one; null when the source names none
  careful: boolean - look at every character of a time before it is cast
  grouped: boolean - a line is a part of an order, so its amount alone may be negative
*/
select
    judged.line_no,
    judged.order_id,
    judged.customer_id,
    judged.purchased_at,
    case when cast(:grouped as boolean) then judged.amount else raw.money(judged.amount) end as amount,
    judged.currency,
    judged.status,
    judged.coupon_code,
    judged.items,
    judged.updated_at,
    judged.cancels,
    case
        when problem is not null then 'quarantined'
        else 'accepted'
    end as verdict,
    split_part(problem, ' ', 1) as reason,
    nullif(split_part(problem, ' ', 2), '') as column_name,
    case when judged.customer_id is not null then customers.customer_id is not null end as customer_known,
    coalesce(
        octet_length(judged.order_id) < octet_length(judged.order_id_text)
        or octet_length(judged.customer_id) < octet_length(judged.customer_id_text)
        or octet_length(judged.cancels) < octet_length(judged.cancels_text),
        false
    ) as is_trimmed,
    coalesce(is_repeated, false) as is_repeated,
    true as head
from (
    select
        *,
        -- most exports have one moment for both
        case when updated_at_text = purchased_at_text then purchased_at else updated_at_read end as updated_at,
        coalesce(
            broken,
            case when octet_length(raw) >= 1000000 then 'field_too_long' end,
            raw.id_problem(order_id, 'order_id'),
            raw.id_problem(customer_id, 'customer_id'),
            raw.instant_problem(
                purchased_at_text, purchased_at, cast(:zone as text), cast(:latest as timestamptz), 'purchased_at'
            ),
            raw.number_problem(amount_text, amount, 'amount'),
            raw.currency_problem(currency_text, currency, 'currency'),
            raw.not_in(status, '{paid,cancelled,refunded}', 'unknown_status', 'status'),
            case
                when amount < 0 and status = 'paid' and not cast(:grouped as boolean) then 'negative_amount amount'
            end,
            raw.unread(items_text, items is null, 'malformed_json', 'items'),
            case
                when updated_at_text = purchased_at_text then null
                else raw.instant_problem(
                    updated_at_text, updated_at_read, cast(:zone as text), cast(:latest as timestamptz), 'updated_at'
                )
            end,
            raw.optional_id_problem(cancels, 'cancels')
        ) as problem
    from (
        select
            line_no,
            raw,
            broken,
            order_id as order_id_text,
            raw.trimmed(order_id) as order_id,
            customer_id as customer_id_text,
            raw.trimmed(customer_id) as customer_id,
            purchased_at as purchased_at_text,
            raw.sure_instant(
                purchased_seeming, purchased_at, cast(:zone as text), cast(:careful as boolean)
            ) as purchased_at,
            amount as amount_text,
            raw.number(amount) as amount,
            currency as currency_text,
            raw.currency(currency) as currency,
            case
                when status = any ('{paid,cancelled,refunded}') then status
                else lower(raw.trimmed(status))
            end as status,
            raw.trimmed(coupon_code) as coupon_code,
            items as items_text,
            raw.read_json(items) as items,
            updated_at as updated_at_text,
            case
                when updated_at = purchased_at then null
                else raw.sure_instant(updated_seeming, updated_at, cast(:zone as text), cast(:careful as boolean))
            end as updated_at_read,
            cancels as cancels_text,
            raw.trimmed(cancels) as cancels,
            raw.is_repeated(purchased_at, cast(:zone as text))
            or raw.is_repeated(updated_at, cast(:zone as text)) as is_repeated
        from (
            select
                *,
                raw.seeming_instant(purchased_at, cast(:careful as boolean)) as purchased_seeming,
                case
                    when updated_at = purchased_at then null
                    else raw.seeming_instant(updated_at, cast(:careful as boolean))
                end as updated_seeming
            from landing
            offset bigint '0'
        ) as seeming
        offset bigint '0'
    ) as read_lines
    offset bigint '0'
) as judged
left join core.customers on judged.customer_id = customers.customer_id
