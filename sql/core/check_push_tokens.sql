/*
Push tokens of one load as they were landed, read line by line: typed values, and what is wrong with a line.

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
    judged.token_id,
    judged.customer_id,
    judged.endpoint,
    judged.platform,
    judged.active,
    judged.updated_at,
    case
        when problem is not null then 'quarantined'
        when customers.customer_id is null and aliases.alias_id is null then 'parked'
        else 'accepted'
    end as verdict,
    split_part(problem, ' ', 1) as reason,
    nullif(split_part(problem, ' ', 2), '') as column_name,
    case
        when judged.customer_id is not null
            then customers.customer_id is not null or aliases.alias_id is not null
    end as customer_known,
    coalesce(
        octet_length(judged.token_id) < octet_length(judged.token_id_text)
        or octet_length(judged.customer_id) < octet_length(judged.customer_id_text),
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
            raw.id_problem(token_id, 'token_id'),
            raw.id_problem(customer_id, 'customer_id'),
            raw.missing(endpoint, 'endpoint'),
            raw.not_in(platform, '{apns,fcm,webpush}', 'unknown_value', 'platform'),
            raw.missing(active_text, 'active'),
            raw.unread(active_text, active is null, 'not_a_boolean', 'active'),
            raw.instant_problem(
                updated_at_text, updated_at, cast(:zone as text), cast(:latest as timestamptz), 'updated_at'
            )
        ) as problem
    from (
        select
            line_no,
            raw,
            broken,
            token_id as token_id_text,
            raw.trimmed(token_id) as token_id,
            customer_id as customer_id_text,
            raw.trimmed(customer_id) as customer_id,
            raw.trimmed(endpoint) as endpoint,
            case
                when platform = any ('{apns,fcm,webpush}') then platform
                else lower(raw.trimmed(platform))
            end as platform,
            active as active_text,
            raw.truth(active) as active,
            updated_at as updated_at_text,
            raw.instant(updated_at, cast(:zone as text), cast(:careful as boolean)) as updated_at,
            raw.is_repeated(updated_at, cast(:zone as text)) as is_repeated
        from landing
        offset bigint '0'
    ) as read_lines
    offset bigint '0'
) as judged
left join core.customers on judged.customer_id = customers.customer_id
left join core.aliases on judged.customer_id = aliases.alias_id
