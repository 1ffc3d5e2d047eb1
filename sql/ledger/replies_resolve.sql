/*
Resolve a reply that somebody has read: a refusal is a withdrawal from the moment it was written, anything else lets the
person go.

owner: engineering
grain: one row, or none when nothing waits under this name
params:
  reply_id: text - our name of the reply, or enough of its beginning
  is_refusal: boolean - what the reader says
  revoke_all: boolean - a refusal holds for every purpose, not only for advertising
  at: timestamptz nullable - simulated moment; null: the database's clock
returns:
  reply_id: text unique - our name of the reply
  held: bigint - people it held
*/
with

resolved as (
    update campaign.replies
    set
        resolution = case when cast(:is_refusal as boolean) then 'refusal' else 'no_refusal' end,
        resolved_at = coalesce(cast(:at as timestamptz), clock_timestamp())
    where
        verdict = 'unclear'
        and resolved_at is null
        and starts_with(reply_id, cast(:reply_id as text))
        and (
            select count(*)
            from campaign.replies as same
            where
                same.verdict = 'unclear'
                and same.resolved_at is null
                and starts_with(same.reply_id, cast(:reply_id as text))
        ) = 1
    returning reply_id, provider, occurred_at, address_hmac
),

freed as (
    delete from campaign.reply_holds
    using resolved
    where reply_holds.reply_id = resolved.reply_id
    returning reply_holds.reply_id, reply_holds.customer_id, reply_holds.channel
),

withdrawn as (
    insert into core.consents (consent_id, customer_id, channel, purpose, status, source, occurred_at)
    select
        concat_ws(':', 'reply', resolved.reply_id, freed.customer_id, freed.channel, purposes.purpose),
        freed.customer_id, freed.channel, purposes.purpose, 'withdrawn',
        'reply by ' || resolved.provider || ', read by a person', resolved.occurred_at
    from resolved
    inner join freed on freed.reply_id = resolved.reply_id
    cross join (values ('marketing'), ('retargeting'), ('transactional')) as purposes (purpose)
    where
        cast(:is_refusal as boolean)
        and (cast(:revoke_all as boolean) or purposes.purpose <> 'transactional')
    on conflict (consent_id) do nothing
),

suppressed as (
    insert into core.suppressions as known (address_hmac, channel, scope, reason, suppressed_at)
    select distinct
        resolved.address_hmac, freed.channel,
        case when cast(:revoke_all as boolean) then 'all' else 'marketing' end as scope,
        'stop_word', resolved.occurred_at
    from resolved
    inner join freed on freed.reply_id = resolved.reply_id
    where cast(:is_refusal as boolean) and resolved.address_hmac is not null
    on conflict (address_hmac, channel, scope) do update
    set suppressed_at = greatest(known.suppressed_at, excluded.suppressed_at)
    where known.reason = 'stop_word'
)

select
    resolved.reply_id,
    (
        select count(distinct freed.customer_id)
        from freed
        where freed.reply_id = resolved.reply_id
    ) as held
from resolved
