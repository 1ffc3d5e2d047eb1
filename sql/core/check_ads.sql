/*
Ads of one load as they were landed, read line by line: typed values, and what is wrong with a line.

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
    judged.ad_id,
    judged.campaign_name,
    judged.bot_id,
    judged.status,
    judged.updated_at,
    case
        when problem is not null then 'quarantined'
        else 'accepted'
    end as verdict,
    split_part(problem, ' ', 1) as reason,
    nullif(split_part(problem, ' ', 2), '') as column_name,
    cast(null as boolean) as customer_known,
    coalesce(
        octet_length(judged.ad_id) < octet_length(judged.ad_id_text)
        or octet_length(judged.bot_id) < octet_length(judged.bot_id_text),
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
            raw.id_problem(ad_id, 'ad_id'),
            raw.missing(campaign_name, 'campaign_name'),
            raw.optional_id_problem(bot_id, 'bot_id'),
            raw.not_in(status, '{active,paused}', 'unknown_status', 'status'),
            raw.instant_problem(
                updated_at_text, updated_at, cast(:zone as text), cast(:latest as timestamptz), 'updated_at'
            )
        ) as problem
    from (
        select
            line_no,
            raw,
            broken,
            ad_id as ad_id_text,
            raw.trimmed(ad_id) as ad_id,
            raw.trimmed(campaign_name) as campaign_name,
            bot_id as bot_id_text,
            raw.trimmed(bot_id) as bot_id,
            case when status = any ('{active,paused}') then status else lower(raw.trimmed(status)) end as status,
            updated_at as updated_at_text,
            raw.instant(updated_at, cast(:zone as text), cast(:careful as boolean)) as updated_at,
            raw.is_repeated(updated_at, cast(:zone as text)) as is_repeated
        from landing
        offset bigint '0'
    ) as read_lines
    offset bigint '0'
) as judged
