/*
Page views of one load as they were landed, read line by line: typed values, and what is wrong with a line.

Addresses that stand in links and free values are left out, since analysts see these columns.

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
    judged.visit_id,
    judged.session_id,
    judged.visitor_id,
    judged.customer_id,
    raw.link_without_addresses(judged.page_url) as page_url,
    raw.link_without_addresses(judged.previous_url) as previous_url,
    raw.link_without_addresses(judged.referrer) as referrer,
    raw.without_emails(judged.keyword) as keyword,
    judged.source_type,
    judged.city,
    judged.country,
    judged.language,
    judged.device,
    judged.window_width,
    judged.window_height,
    judged.visit_number,
    raw.json_without_emails(judged.custom) as custom,
    judged.viewed_at,
    judged.left_at,
    case
        when problem is not null then 'quarantined'
        else 'accepted'
    end as verdict,
    split_part(problem, ' ', 1) as reason,
    nullif(split_part(problem, ' ', 2), '') as column_name,
    case when judged.customer_id is not null then customers.customer_id is not null end as customer_known,
    coalesce(
        octet_length(judged.visit_id) < octet_length(judged.visit_id_text)
        or octet_length(judged.session_id) < octet_length(judged.session_id_text)
        or octet_length(judged.visitor_id) < octet_length(judged.visitor_id_text)
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
            raw.id_problem(visit_id, 'visit_id'),
            raw.id_problem(session_id, 'session_id'),
            raw.optional_id_problem(visitor_id, 'visitor_id'),
            raw.optional_id_problem(customer_id, 'customer_id'),
            raw.missing(page_url, 'page_url'),
            raw.unread(window_width_text, window_width is null, 'not_a_number', 'window_width'),
            raw.unread(window_height_text, window_height is null, 'not_a_number', 'window_height'),
            raw.unread(visit_number_text, visit_number is null, 'not_a_number', 'visit_number'),
            raw.unread(custom_text, custom is null, 'malformed_json', 'custom'),
            raw.instant_problem(
                viewed_at_text, viewed_at, cast(:zone as text), cast(:latest as timestamptz), 'viewed_at'
            ),
            raw.optional_instant_problem(
                left_at_text, left_at, cast(:zone as text), cast(:latest as timestamptz), 'left_at'
            )
        ) as problem
    from (
        select
            line_no,
            raw,
            broken,
            visit_id as visit_id_text,
            raw.trimmed(visit_id) as visit_id,
            session_id as session_id_text,
            raw.trimmed(session_id) as session_id,
            visitor_id as visitor_id_text,
            raw.trimmed(visitor_id) as visitor_id,
            customer_id as customer_id_text,
            raw.trimmed(customer_id) as customer_id,
            raw.trimmed(page_url) as page_url,
            raw.trimmed(previous_url) as previous_url,
            raw.trimmed(referrer) as referrer,
            raw.trimmed(keyword) as keyword,
            raw.trimmed(source_type) as source_type,
            raw.trimmed(city) as city,
            raw.trimmed(country) as country,
            raw.trimmed(language) as language,
            raw.trimmed(device) as device,
            window_width as window_width_text,
            raw.whole(window_width) as window_width,
            window_height as window_height_text,
            raw.whole(window_height) as window_height,
            visit_number as visit_number_text,
            raw.whole(visit_number) as visit_number,
            custom as custom_text,
            raw.read_json(custom) as custom,
            viewed_at as viewed_at_text,
            raw.instant(viewed_at, cast(:zone as text), cast(:careful as boolean)) as viewed_at,
            left_at as left_at_text,
            raw.instant(left_at, cast(:zone as text), cast(:careful as boolean)) as left_at,
            raw.is_repeated(viewed_at, cast(:zone as text))
            or raw.is_repeated(left_at, cast(:zone as text)) as is_repeated
        from landing
        offset bigint '0'
    ) as read_lines
    offset bigint '0'
) as judged
left join core.customers on judged.customer_id = customers.customer_id
