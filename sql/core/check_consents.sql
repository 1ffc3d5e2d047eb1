/*
Consents of one load as they were landed, read line by line: typed values, and what is wrong with a line.

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
    judged.consent_id,
    judged.customer_id,
    judged.channel,
    judged.purpose,
    judged.status,
    judged.basis,
    judged.ad_user_data,
    judged.ad_personalization,
    judged.source,
    judged.wording,
    judged.occurred_at,
    judged.expires_at,
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
        octet_length(judged.consent_id) < octet_length(judged.consent_id_text)
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
            raw.id_problem(consent_id, 'consent_id'),
            raw.id_problem(customer_id, 'customer_id'),
            raw.not_in(
                channel, '{email,push,webpush,inbox,sms,whatsapp,meta,tiktok,google}', 'unknown_channel', 'channel'
            ),
            raw.not_in(purpose, '{marketing,retargeting,transactional}', 'unknown_value', 'purpose'),
            raw.not_in(status, '{granted,withdrawn}', 'unknown_status', 'status'),
            case
                when basis is not null or status = 'granted'
                    then raw.not_in(basis, '{express,soft_opt_in,inquiry}', 'unknown_value', 'basis')
            end,
            raw.unread(ad_user_data_text, ad_user_data is null, 'not_a_boolean', 'ad_user_data'),
            raw.unread(ad_personalization_text, ad_personalization is null, 'not_a_boolean', 'ad_personalization'),
            raw.missing(source, 'source'),
            raw.instant_problem(
                occurred_at_text, occurred_at, cast(:zone as text), cast(:latest as timestamptz), 'occurred_at'
            ),
            raw.optional_instant_problem(expires_at_text, expires_at, cast(:zone as text), 'infinity', 'expires_at')
        ) as problem
    from (
        select
            line_no,
            raw,
            broken,
            consent_id as consent_id_text,
            raw.trimmed(consent_id) as consent_id,
            customer_id as customer_id_text,
            raw.trimmed(customer_id) as customer_id,
            case
                when channel = any ('{email,push,webpush,inbox,sms,whatsapp,meta,tiktok,google}') then channel
                else lower(raw.trimmed(channel))
            end as channel,
            case
                when purpose = any ('{marketing,retargeting,transactional}') then purpose
                else lower(raw.trimmed(purpose))
            end as purpose,
            case when status = any ('{granted,withdrawn}') then status else lower(raw.trimmed(status)) end as status,
            case
                when basis = any ('{express,soft_opt_in,inquiry}') then basis
                else lower(raw.trimmed(basis))
            end as basis,
            ad_user_data as ad_user_data_text,
            raw.truth(ad_user_data) as ad_user_data,
            ad_personalization as ad_personalization_text,
            raw.truth(ad_personalization) as ad_personalization,
            raw.trimmed(source) as source,
            wording,
            occurred_at as occurred_at_text,
            raw.instant(occurred_at, cast(:zone as text), cast(:careful as boolean)) as occurred_at,
            expires_at as expires_at_text,
            raw.instant(expires_at, cast(:zone as text), cast(:careful as boolean)) as expires_at,
            raw.is_repeated(occurred_at, cast(:zone as text))
            or raw.is_repeated(expires_at, cast(:zone as text)) as is_repeated
        from landing
        offset bigint '0'
    ) as read_lines
    offset bigint '0'
) as judged
left join core.customers on judged.customer_id = customers.customer_id
left join core.aliases on judged.customer_id = aliases.alias_id
