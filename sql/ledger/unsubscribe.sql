/*
Withdraw a person's consent, as they asked through their link; what is withdrawn already gets no second row.

Somebody who is not in the data (any more) leaves no trace.

owner: engineering
grain: one row per consent withdrawn now
params:
  request_id: uuid - names the rows
  customer_id: text - who, by any id they ever had
  channels: text[] - channels they no longer want
  purposes: text[] - for which purposes
  at: timestamptz nullable - simulated moment; null: the database's clock
returns:
  consent_id: text unique - the new row
*/
with

clock as materialized (
    select coalesce(cast(:at as timestamptz), clock_timestamp()) as at
),

person as materialized (
    select found.customer_id, found.ids
    from campaign.person(cast(:customer_id as text)) as found
    where exists (select from core.customers where customers.customer_id = found.customer_id)
)

insert into core.consents (consent_id, customer_id, channel, purpose, status, source, occurred_at)
select
    concat_ws(':', 'unsubscribe', cast(cast(:request_id as uuid) as text), channels.channel, purposes.purpose),
    person.customer_id, channels.channel, purposes.purpose, 'withdrawn', 'unsubscribe link', clock.at
from person
cross join clock
cross join unnest(cast(:channels as text[])) as channels (channel)
cross join unnest(cast(:purposes as text[])) as purposes (purpose)
where not exists (
    select from core.consents as known
    where
        known.customer_id = any(person.ids)
        and known.channel = channels.channel
        and known.purpose = purposes.purpose
        and known.status = 'withdrawn'
        and least(known.occurred_at, known.known_at) <= clock.at
        and not exists (
            select from core.consents as later
            where
                later.customer_id = any(person.ids)
                and later.channel = channels.channel
                and later.purpose = purposes.purpose
                and later.status = 'granted'
                and least(later.occurred_at, later.known_at) > least(known.occurred_at, known.known_at)
        )
)
returning consent_id
