/*
Checkouts of one load as they were landed, read line by line: typed values, and what is wrong with a line.

The first finding in the order of the columns is its reason. The offsets keep each value from being read again for
every use of it; written as a bigint they are known to skip nothing, and the lines are read in parallel.

owner: engineering
grain: one row per landed line
params:
  latest: timestamptz - the run's logical time and five minutes for clocks that differ
  zone: text nullable - zone of times without one; null when the source names none
  careful: boolean - look at every character of a time before it is cast
*/
select
    judged.line_no,
    judged.checkout_id,
    judged.customer_id,
    judged.visitor_id,
    judged.email,
    judged.first_name,
    judged.last_name,
    judged.status,
    raw.without_emails(judged.failure_reason) as failure_reason,
    raw.money(judged.amount) as amount,
    judged.currency,
    judged.language,
    judged.country,
    judged.items,
    judged.coupon_code,
    judged.opened_at,
    judged.updated_at,
    case
        when problem is not null then 'quarantined'
        else 'accepted'
    end as verdict,
    split_part(problem, ' ', 1) as reason,
    nullif(split_part(problem, ' ', 2), '') as column_name,
    case when judged.customer_id is not null then customers.customer_id is not null end as customer_known,
    coalesce(
        octet_length(judged.checkout_id) < octet_length(judged.checkout_id_text)
        or octet_length(judged.customer_id) < octet_length(judged.customer_id_text)
        or octet_length(judged.visitor_id) < octet_length(judged.visitor_id_text),
        false
    ) as is_trimmed,
    coalesce(is_repeated, false) as is_repeated,
    true as head
from (
    select
        *,
        coalesce(
            broken,
            case when octet_length(raw) >= 1000000 then 'field_too_long' end,
            raw.id_problem(checkout_id, 'checkout_id'),
            raw.optional_id_problem(customer_id, 'customer_id'),
            raw.optional_id_problem(visitor_id, 'visitor_id'),
            raw.not_in(status, '{opened,email_entered,submitted,failed,completed}', 'unknown_status', 'status'),
            case when raw.trimmed(amount_text) is not null then raw.number_problem(amount_text, amount, 'amount') end,
            raw.unread(currency_text, currency is null, 'unknown_currency', 'currency'),
            raw.unread(items_text, items is null, 'malformed_json', 'items'),
            raw.instant_problem(
                opened_at_text, opened_at, cast(:zone as text), cast(:latest as timestamptz), 'opened_at'
            ),
            raw.instant_problem(
                updated_at_text, updated_at, cast(:zone as text), cast(:latest as timestamptz), 'updated_at'
            )
        ) as problem
    from (
        select
            line_no,
            raw,
            broken,
            checkout_id as checkout_id_text,
            raw.trimmed(checkout_id) as checkout_id,
            customer_id as customer_id_text,
            raw.trimmed(customer_id) as customer_id,
            visitor_id as visitor_id_text,
            raw.trimmed(visitor_id) as visitor_id,
            email,
            first_name,
            last_name,
            case
                when status = any ('{opened,email_entered,submitted,failed,completed}') then status
                else lower(raw.trimmed(status))
            end as status,
            raw.trimmed(failure_reason) as failure_reason,
            amount as amount_text,
            raw.number(amount) as amount,
            currency as currency_text,
            raw.currency(currency) as currency,
            raw.trimmed(language) as language,
            raw.trimmed(country) as country,
            items as items_text,
            raw.read_json(items) as items,
            raw.trimmed(coupon_code) as coupon_code,
            opened_at as opened_at_text,
            raw.instant(opened_at, cast(:zone as text), cast(:careful as boolean)) as opened_at,
            updated_at as updated_at_text,
            raw.instant(updated_at, cast(:zone as text), cast(:careful as boolean)) as updated_at,
            raw.is_repeated(opened_at, cast(:zone as text))
            or raw.is_repeated(updated_at, cast(:zone as text)) as is_repeated
        from landing
        offset bigint '0'
    ) as read_lines
    offset bigint '0'
) as judged
left join core.customers on judged.customer_id = customers.customer_id
