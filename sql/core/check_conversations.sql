/*
Conversations of one load as they were landed, read line by line: typed values, and what is wrong with a line.

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
    judged.conversation_id,
    judged.customer_id,
    judged.channel,
    judged.account,
    judged.ad_id,
    judged.bot_id,
    judged.opened_at,
    judged.milestone,
    judged.milestone_at,
    judged.updated_at,
    case
        when problem is not null then 'quarantined'
        else 'accepted'
    end as verdict,
    split_part(problem, ' ', 1) as reason,
    nullif(split_part(problem, ' ', 2), '') as column_name,
    case when judged.customer_id is not null then customers.customer_id is not null end as customer_known,
    coalesce(
        octet_length(judged.conversation_id) < octet_length(judged.conversation_id_text)
        or octet_length(judged.customer_id) < octet_length(judged.customer_id_text)
        or octet_length(judged.ad_id) < octet_length(judged.ad_id_text)
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
            raw.id_problem(conversation_id, 'conversation_id'),
            raw.id_problem(customer_id, 'customer_id'),
            raw.missing(channel, 'channel'),
            case when octet_length(channel) > 200 then 'field_too_long channel' end,
            raw.optional_id_problem(ad_id, 'ad_id'),
            raw.optional_id_problem(bot_id, 'bot_id'),
            raw.instant_problem(
                opened_at_text, opened_at, cast(:zone as text), cast(:latest as timestamptz), 'opened_at'
            ),
            -- a source that tells no milestone leaves both empty; they are derived then
            case
                when milestone is not null
                    then raw.not_in(milestone, '{lead,deep_conversation,qualified}', 'unknown_value', 'milestone')
                when raw.trimmed(milestone_at_text) is not null then 'missing_value milestone'
            end,
            case
                when milestone is not null
                    then raw.instant_problem(
                        milestone_at_text, milestone_at, cast(:zone as text), cast(:latest as timestamptz),
                        'milestone_at'
                    )
            end,
            raw.instant_problem(
                updated_at_text, updated_at, cast(:zone as text), cast(:latest as timestamptz), 'updated_at'
            )
        ) as problem
    from (
        select
            line_no,
            raw,
            broken,
            conversation_id as conversation_id_text,
            raw.trimmed(conversation_id) as conversation_id,
            customer_id as customer_id_text,
            raw.trimmed(customer_id) as customer_id,
            raw.trimmed(channel) as channel,
            raw.trimmed(account) as account,
            ad_id as ad_id_text,
            raw.trimmed(ad_id) as ad_id,
            bot_id as bot_id_text,
            raw.trimmed(bot_id) as bot_id,
            opened_at as opened_at_text,
            raw.instant(opened_at, cast(:zone as text), cast(:careful as boolean)) as opened_at,
            case
                when milestone = any ('{lead,deep_conversation,qualified}') then milestone
                else lower(raw.trimmed(milestone))
            end as milestone,
            milestone_at as milestone_at_text,
            raw.instant(milestone_at, cast(:zone as text), cast(:careful as boolean)) as milestone_at,
            updated_at as updated_at_text,
            raw.instant(updated_at, cast(:zone as text), cast(:careful as boolean)) as updated_at,
            raw.is_repeated(opened_at, cast(:zone as text))
            or raw.is_repeated(milestone_at, cast(:zone as text))
            or raw.is_repeated(updated_at, cast(:zone as text)) as is_repeated
        from landing
        offset bigint '0'
    ) as read_lines
    offset bigint '0'
) as judged
left join core.customers on judged.customer_id = customers.customer_id
