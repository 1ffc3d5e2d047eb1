/*
Keep what people wrote back, with whom it is from and which message it answers: the one it quotes, else the last one
accepted on that channel in the 72 hours before.

Whoever WhatsApp knows is who wrote, under whatever number; else everybody who has the number, or wrote from it, is
looked at. Of somebody known by neither a number nor a name no words are kept: nobody could have them deleted.

owner: engineering
grain: one row per reply that was not known
params:
  replies: jsonb - what was read from the bodies; addresses stay in this statement
  at: timestamptz nullable - simulated moment; null: the database's clock
returns:
  reply_id: text unique - our name of the reply
*/
with

clock as materialized (
    select coalesce(cast(:at as timestamptz), clock_timestamp()) as at
),

given as materialized (
    select distinct on (reply.reply_id)
        reply.reply_id, reply.provider, reply.channel, reply.in_reply_to, reply.text, reply.address,
        reply.address_hmac, reply.writer_id, reply.is_said, least(reply.occurred_at, clock.at) as occurred_at
    from jsonb_to_recordset(cast(:replies as jsonb)) as reply (
        reply_id text, provider text, channel text, occurred_at timestamptz, in_reply_to text, text text,
        address text, address_hmac text, writer_id text, is_said boolean
    )
    cross join clock
    order by reply.reply_id
),

quoted as materialized (
    select given.reply_id, (array_agg(sends.send_key))[1] as send_key
    from given
    inner join campaign.sends on sends.provider_message_id = given.in_reply_to
    group by given.reply_id
    having count(*) = 1
),

with_number as materialized (
    select given.reply_id, customers.customer_id
    from given
    inner join core.customers on customers.phone_e164 = given.address
    union
    select given.reply_id, writers.customer_id
    from given
    inner join core.writer_numbers as numbers on numbers.phone = given.address
    inner join core.writers on writers.writer_id = numbers.writer_id
),

writers as materialized (
    select given.reply_id, writers.customer_id
    from given
    inner join core.writers on writers.writer_id = given.writer_id
    union all
    select given.reply_id, (array_agg(with_number.customer_id))[1] as customer_id
    from given
    inner join with_number on with_number.reply_id = given.reply_id
    where not exists (select from core.writers where writers.writer_id = given.writer_id)
    group by given.reply_id
    having count(*) = 1
),

known_as as materialized (
    select given.reply_id, coalesce(sends.customer_id, writers.customer_id) as customer_id, sends.send_key
    from given
    left join quoted on quoted.reply_id = given.reply_id
    left join campaign.sends on sends.send_key = quoted.send_key
    left join writers on writers.reply_id = given.reply_id
),

kept as (
    insert into campaign.replies (
        reply_id, provider, channel, address_hmac, customer_id, text, occurred_at, is_said
    )
    select
        given.reply_id, given.provider, given.channel, given.address_hmac, person.customer_id,
        case when given.address_hmac is not null or person.customer_id is not null then given.text end,
        given.occurred_at, given.is_said
    from given
    inner join known_as on known_as.reply_id = given.reply_id
    left join lateral campaign.person(known_as.customer_id) as person on known_as.customer_id is not null
    on conflict (reply_id) do nothing
    returning reply_id
),

answered as (
    select given.reply_id, given.provider, given.channel, given.occurred_at, last_attempt.attempt_id
    from kept
    inner join given on given.reply_id = kept.reply_id
    inner join known_as on known_as.reply_id = kept.reply_id
    cross join lateral (
        select coalesce(known_as.send_key, (
            select sends.send_key
            from campaign.person(known_as.customer_id) as person
            inner join campaign.sends on sends.customer_id = any(person.ids)
            where
                sends.channel = given.channel
                and sends.accepted_at between given.occurred_at - interval '72 hours' and given.occurred_at
            order by sends.accepted_at desc, sends.send_key
            limit 1
        )) as send_key
    ) as message
    cross join lateral (
        select attempts.attempt_id
        from campaign.attempts
        where attempts.send_key = message.send_key
        order by attempts.attempt_no desc
        limit 1
    ) as last_attempt
),

reported as (
    insert into campaign.provider_events (provider, event_key, channel, kind, occurred_at, attempt_id)
    select provider, reply_id, channel, 'replied', occurred_at, attempt_id
    from answered
    on conflict (provider, event_key) do nothing
)

select reply_id from kept
