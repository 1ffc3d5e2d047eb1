/*
Events of one load as they were landed, read line by line: typed values, and what is wrong with a line.

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
    judged.event_id,
    judged.customer_id,
    judged.name,
    judged.occurred_at,
    raw.json_without_emails(judged.properties) as properties,
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
        octet_length(judged.event_id) < octet_length(judged.event_id_text)
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
            raw.id_problem(event_id, 'event_id'),
            raw.id_problem(customer_id, 'customer_id'),
            raw.missing(name, 'name'),
            case when octet_length(name) > 200 then 'field_too_long name' end,
            raw.instant_problem(
                occurred_at_text, occurred_at, cast(:zone as text), cast(:latest as timestamptz), 'occurred_at'
            ),
            raw.unread(properties_text, properties is null, 'malformed_json', 'properties')
        ) as problem
    from (
        select
            line_no,
            raw,
            broken,
            event_id as event_id_text,
            raw.trimmed(event_id) as event_id,
            customer_id as customer_id_text,
            raw.trimmed(customer_id) as customer_id,
            raw.trimmed(name) as name,
            occurred_at as occurred_at_text,
            raw.instant(occurred_at, cast(:zone as text), cast(:careful as boolean)) as occurred_at,
            properties as properties_text,
            raw.read_json(properties) as properties,
            raw.is_repeated(occurred_at, cast(:zone as text)) as is_repeated
        from landing
        offset bigint '0'
    ) as read_lines
    offset bigint '0'
) as judged
left join core.customers on judged.customer_id = customers.customer_id
left join core.aliases on judged.customer_id = aliases.alias_id
