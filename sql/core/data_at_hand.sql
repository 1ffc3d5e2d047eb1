/*
Which data there are, for `reengage doctor`: entities that have rows, and people a channel could reach.

params:
  as_of: timestamptz - the moment the question is asked
returns:
  kind: text - entity, address or consent
  name: text - the entity, channel or platform
  people: bigint nullable - how many people; null for an entity, where one row is enough
  found: boolean - whether there is any
*/
with entities as (
    select 'customers' as name, exists (select 1 from core.customers) as found
    union all
    select 'purchases', exists (select 1 from core.purchases)
    union all
    select 'checkouts', exists (select 1 from core.checkouts)
    union all
    select 'events', exists (select 1 from core.events)
    union all
    select 'conversations', exists (select 1 from core.conversations)
    union all
    select 'messages', exists (select 1 from core.messages)
    union all
    select 'ads', exists (select 1 from core.ads)
    union all
    select 'consents', exists (select 1 from core.consents)
    union all
    select 'push_tokens', exists (select 1 from core.push_tokens)
    union all
    select 'visits', exists (select 1 from core.visits)
),

addresses as (
    select
        count(email_canonical) as email,
        count(phone_e164) as phone,
        count(*) filter (where email_canonical is not null or phone_e164 is not null) as any_contact
    from core.customers
),

tokens as (
    select
        count(distinct customer_id) filter (where platform in ('apns', 'fcm')) as push,
        count(distinct customer_id) filter (where platform = 'webpush') as webpush
    from core.push_tokens
    where active
),

reachable as (
    select unnest(array['email', 'sms', 'whatsapp', 'push', 'webpush', 'meta', 'tiktok', 'google']) as name,
        unnest(array[
            addresses.email, addresses.phone, addresses.phone, tokens.push, tokens.webpush,
            addresses.any_contact, addresses.any_contact, addresses.any_contact
        ]) as people
    from addresses
    cross join tokens
),

granted as (
    select channel as name, count(distinct customer_id) as people
    from core.consents
    where status = 'granted' and occurred_at <= :as_of and (expires_at is null or expires_at > :as_of)
    group by channel
)

select 'entity' as kind, name, cast(null as bigint) as people, found
from entities
union all
select 'address', name, people, people > 0
from reachable
union all
select 'consent', name, people, people > 0
from granted
