/*
Messages of one load as they were landed, read line by line: typed values, and what is wrong with a line.

The first finding in the order of the columns is its reason. The offsets keep each value from being read again for
every use of it; written as a bigint they are known to skip nothing, and the lines are read in parallel.

A message names its conversation, or its writer: then its conversation is found when it is merged.

owner: engineering
grain: one row per landed line
params:
  latest: timestamptz - the run's logical time and five minutes for clocks that differ
  zone: text nullable - zone of times without one; null when the source names none
  careful: boolean - look at every character of a time before it is cast
*/
select
    judged.line_no,
    judged.message_id,
    judged.conversation_id,
    judged.direction,
    judged.sender,
    judged.sent_at,
    judged.text,
    judged.kind,
    judged.bot_node,
    cast('{}' as text[]) as keywords,
    judged.writer_id,
    judged.wa_id,
    judged.phone,
    judged.account,
    judged.group_id,
    judged.referral,
    judged.ad_id,
    judged.about_id,
    coalesce(judged.conversation_id, judged.group_id, judged.writer_id) as belongs_to,
    case
        when problem is not null then 'quarantined'
        else 'accepted'
    end as verdict,
    split_part(problem, ' ', 1) as reason,
    nullif(split_part(problem, ' ', 2), '') as column_name,
    conversations.conversation_id is not null as customer_known,
    coalesce(
        octet_length(judged.message_id) < octet_length(judged.message_id_text)
        or octet_length(judged.conversation_id) < octet_length(judged.conversation_id_text),
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
            raw.id_problem(message_id, 'message_id'),
            case
                when writer_id is null and group_id is null then raw.id_problem(conversation_id, 'conversation_id')
                else raw.optional_id_problem(conversation_id, 'conversation_id')
            end,
            raw.optional_id_problem(writer_id, 'writer_id'),
            raw.optional_id_problem(wa_id, 'wa_id'),
            raw.optional_id_problem(account, 'account'),
            raw.optional_id_problem(group_id, 'group_id'),
            raw.optional_id_problem(ad_id, 'ad_id'),
            raw.optional_id_problem(about_id, 'about_id'),
            raw.not_in(direction, '{inbound,outbound}', 'unknown_value', 'direction'),
            raw.not_in(sender, '{customer,bot,agent,campaign}', 'unknown_value', 'sender'),
            raw.instant_problem(sent_at_text, sent_at, cast(:zone as text), cast(:latest as timestamptz), 'sent_at')
        ) as problem
    from (
        select
            line_no,
            raw,
            broken,
            message_id as message_id_text,
            raw.trimmed(message_id) as message_id,
            conversation_id as conversation_id_text,
            raw.trimmed(conversation_id) as conversation_id,
            case
                when direction = any ('{inbound,outbound}') then direction
                else lower(raw.trimmed(direction))
            end as direction,
            case
                when sender = any ('{customer,bot,agent,campaign}') then sender
                else lower(raw.trimmed(sender))
            end as sender,
            sent_at as sent_at_text,
            raw.instant(sent_at, cast(:zone as text), cast(:careful as boolean)) as sent_at,
            text,
            raw.trimmed(kind) as kind,
            raw.trimmed(bot_node) as bot_node,
            raw.trimmed(writer_id) as writer_id,
            raw.trimmed(wa_id) as wa_id,
            raw.trimmed(phone) as phone,
            raw.trimmed(account) as account,
            raw.trimmed(group_id) as group_id,
            raw.trimmed(referral) as referral,
            raw.trimmed(ad_id) as ad_id,
            raw.trimmed(about_id) as about_id,
            raw.is_repeated(sent_at, cast(:zone as text)) as is_repeated
        from landing
        offset bigint '0'
    ) as read_lines
    offset bigint '0'
) as judged
left join core.conversations on judged.conversation_id = conversations.conversation_id
