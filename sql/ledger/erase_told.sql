/*
Delete what was said to one person and by them, and what their attempts still know of an address.

owner: engineering
grain: one row
params:
  ids: text[] - every id of the person
  addresses: text[] - their addresses as providers get them
  address_hmacs: text[] - keyed hashes of those
returns:
  counts: jsonb - rows per table
*/
with their_sends as materialized (
    select send_key from campaign.sends where customer_id = any(cast(:ids as text[]))
),

their_attempts as materialized (
    select attempts.attempt_id
    from campaign.attempts
    inner join their_sends on their_sends.send_key = attempts.send_key
),

outbox_messages as (
    delete from outbox.messages
    where
        send_key in (select their_sends.send_key from their_sends)
        or address = any(cast(:addresses as text[]))
    returning message_id
),

provider_events as (
    update campaign.provider_events
    set address_hmac = null, provider_message_id = null
    where
        attempt_id in (select their_attempts.attempt_id from their_attempts)
        or address_hmac = any(cast(:address_hmacs as text[]))
    returning event_key
),

attempts as (
    update campaign.attempts
    set address_hmac = '', payload_sha256 = '', provider_message_id = null, consent_id = null,
        consent_load_id = null
    where attempt_id in (select their_attempts.attempt_id from their_attempts)
    returning attempt_id
),

reply_holds as (
    delete from campaign.reply_holds where customer_id = any(cast(:ids as text[])) returning reply_id
),

replies as (
    delete from campaign.replies
    where customer_id = any(cast(:ids as text[])) or address_hmac = any(cast(:address_hmacs as text[]))
    returning reply_id
),

inbox_messages as (
    delete from campaign.inbox_messages
    where customer_id = any(cast(:ids as text[])) or send_key in (select their_sends.send_key from their_sends)
    returning message_id
),

voucher_events as (
    delete from campaign.voucher_events
    where customer_id = any(cast(:ids as text[])) or send_key in (select their_sends.send_key from their_sends)
    returning send_key
),

outcomes as (
    delete from campaign.outcomes where customer_id = any(cast(:ids as text[])) returning customer_id
),

audience_members as (
    delete from campaign.audience_members
    where
        customer_id = any(cast(:ids as text[]))
        and not applied
        and not exists (
            select from campaign.audience_requests as requests
            where requests.request_id = audience_members.request_id and requests.state = 'waiting'
        )
    returning customer_id
)

select
    jsonb_build_object(
        'campaign.attempts', (select count(*) from attempts),
        'campaign.audience_members', (select count(*) from audience_members),
        'campaign.inbox_messages', (select count(*) from inbox_messages),
        'campaign.outcomes', (select count(*) from outcomes),
        'campaign.provider_events', (select count(*) from provider_events),
        'campaign.replies', (select count(*) from replies),
        'campaign.reply_holds', (select count(*) from reply_holds),
        'campaign.voucher_events', (select count(*) from voucher_events),
        'outbox.messages', (select count(*) from outbox_messages)
    ) as counts
