/*
Note that a message was read; the first time counts.

owner: engineering
grain: one row, or none when this person has no such message any more
params:
  customer_id: text - whose inbox
  message_id: uuid - the message
  at: timestamptz nullable - simulated moment; null: the database's clock
returns:
  read_at: timestamptz - when it was first read
*/
update campaign.inbox_messages as messages
set read_at = coalesce(messages.read_at, clock.at)
from (select coalesce(cast(:at as timestamptz), clock_timestamp()) as at) as clock
where
    messages.message_id = cast(:message_id as uuid)
    and messages.customer_id in (
        select unnest(person.ids) from campaign.person(cast(:customer_id as text)) as person
    )
    and messages.expires_at > clock.at
returning messages.read_at
