/*
Put replies to effect: a stop withdraws for everybody who has the number, or wrote from it, and suppresses it; what
reads like a refusal holds them until somebody has resolved it.

The number is the reply's own, else that of the person it is from. Every effect may be repeated.

owner: engineering
grain: one row per judged reply
params:
  replies: jsonb - reply_id, verdict and address of each; addresses stay in this statement
  revoke_all: boolean - a refusal holds for every text channel and purpose, not only for advertising on its own channel
  inner_pad: bytea - key of address hashes
  outer_pad: bytea - key of address hashes
returns:
  reply_id: text unique - our name of the reply
  verdict: text - how it was read
*/
with

judged as materialized (
    select
        replies.reply_id, given.verdict, replies.occurred_at, replies.customer_id, replies.provider,
        coalesce(given.address, customers.phone_e164) as address,
        coalesce(
            campaign.keyed_hash(
                cast(:inner_pad as bytea), cast(:outer_pad as bytea), coalesce(given.address, customers.phone_e164)
            ),
            replies.address_hmac
        ) as address_hmac,
        case when cast(:revoke_all as boolean) then array['sms', 'whatsapp'] else array[replies.channel] end as channels
    from jsonb_to_recordset(cast(:replies as jsonb)) as given (reply_id text, verdict text, address text)
    inner join campaign.replies on replies.reply_id = given.reply_id
    left join core.customers on customers.customer_id = replies.customer_id
),

people as materialized (
    select judged.reply_id, customers.customer_id
    from judged
    inner join core.customers on customers.phone_e164 = judged.address
    union
    select judged.reply_id, writers.customer_id
    from judged
    inner join core.writer_numbers as numbers on numbers.phone = judged.address
    inner join core.writers on writers.writer_id = numbers.writer_id
    union
    select judged.reply_id, person.customer_id
    from judged
    cross join lateral campaign.person(judged.customer_id) as person
    where judged.customer_id is not null
),

withdrawn as (
    insert into core.consents (consent_id, customer_id, channel, purpose, status, source, occurred_at)
    select
        concat_ws(':', 'reply', judged.reply_id, people.customer_id, channels.channel, purposes.purpose),
        people.customer_id, channels.channel, purposes.purpose, 'withdrawn', 'reply by ' || judged.provider,
        judged.occurred_at
    from judged
    inner join people on people.reply_id = judged.reply_id
    cross join unnest(judged.channels) as channels (channel)
    cross join (values ('marketing'), ('retargeting'), ('transactional')) as purposes (purpose)
    where
        judged.verdict = 'stop'
        and (cast(:revoke_all as boolean) or purposes.purpose <> 'transactional')
    on conflict (consent_id) do nothing
),

suppressed as (
    insert into core.suppressions as known (address_hmac, channel, scope, reason, suppressed_at)
    select
        judged.address_hmac, channels.channel,
        case when cast(:revoke_all as boolean) then 'all' else 'marketing' end as scope,
        'stop_word', max(judged.occurred_at)
    from judged
    cross join unnest(judged.channels) as channels (channel)
    where judged.verdict = 'stop' and judged.address_hmac is not null
    group by judged.address_hmac, channels.channel
    on conflict (address_hmac, channel, scope) do update
    set suppressed_at = greatest(known.suppressed_at, excluded.suppressed_at)
    where known.reason = 'stop_word'
),

held as (
    insert into campaign.reply_holds (reply_id, customer_id, channel)
    select judged.reply_id, people.customer_id, channels.channel
    from judged
    inner join people on people.reply_id = judged.reply_id
    cross join unnest(judged.channels) as channels (channel)
    where judged.verdict = 'unclear'
    on conflict (reply_id, customer_id, channel) do nothing
)

update campaign.replies
set verdict = judged.verdict
from judged
where replies.reply_id = judged.reply_id
returning replies.reply_id, replies.verdict
