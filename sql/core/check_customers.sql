/*
Customers of one load as they were landed, read line by line: typed values, and what is wrong with a line.

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
    judged.customer_id,
    judged.email,
    judged.phone,
    judged.first_name,
    judged.last_name,
    judged.language,
    judged.country,
    judged.region,
    judged.time_zone,
    judged.created_at,
    judged.updated_at,
    case
        when problem is not null then 'quarantined'
        else 'accepted'
    end as verdict,
    split_part(problem, ' ', 1) as reason,
    nullif(split_part(problem, ' ', 2), '') as column_name,
    true as customer_known,
    coalesce(
        octet_length(judged.customer_id) < octet_length(judged.customer_id_text),
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
            raw.id_problem(customer_id, 'customer_id'),
            raw.optional_instant_problem(
                created_at_text, created_at, cast(:zone as text), cast(:latest as timestamptz), 'created_at'
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
            customer_id as customer_id_text,
            raw.trimmed(customer_id) as customer_id,
            email,
            phone,
            first_name,
            last_name,
            raw.trimmed(language) as language,
            raw.trimmed(country) as country,
            raw.trimmed(region) as region,
            raw.trimmed(time_zone) as time_zone,
            created_at as created_at_text,
            raw.instant(created_at, cast(:zone as text), cast(:careful as boolean)) as created_at,
            updated_at as updated_at_text,
            raw.instant(updated_at, cast(:zone as text), cast(:careful as boolean)) as updated_at,
            raw.is_repeated(created_at, cast(:zone as text))
            or raw.is_repeated(updated_at, cast(:zone as text)) as is_repeated
        from landing
        offset bigint '0'
    ) as read_lines
    offset bigint '0'
) as judged
