/*
Find the attempt of reports that know a message by the provider's number only, once that number is written down.

A number that several messages of one request share finds none of them, unless the address tells which.

owner: engineering
params:
  event_keys: text[] nullable - these reports; null: every one that waits
*/
with candidates as (
    select
        events.provider, events.event_key, attempts.attempt_id,
        coalesce(events.address_hmac = attempts.address_hmac, false) as is_addressed
    from campaign.provider_events as events
    inner join campaign.sends on sends.provider_message_id = events.provider_message_id
    inner join campaign.attempts
        on attempts.send_key = sends.send_key
        and attempts.provider_message_id = events.provider_message_id
        and attempts.provider = events.provider
    where
        events.applied_at is null
        and events.attempt_id is null
        and (cast(:event_keys as text[]) is null or events.event_key = any(cast(:event_keys as text[])))
),

found as (
    select provider, event_key, (array_agg(attempt_id order by is_addressed desc))[1] as attempt_id
    from candidates
    group by provider, event_key
    having count(*) = 1 or count(*) filter (where is_addressed) = 1
)

update campaign.provider_events as events
set attempt_id = found.attempt_id, provider_message_id = null
from found
where events.provider = found.provider and events.event_key = found.event_key and events.attempt_id is null
