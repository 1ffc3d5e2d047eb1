/*
What one person finds in their inbox, newest first; expired messages are gone.

owner: engineering
grain: one row per message
params:
  customer_id: text - whose inbox; those who turned out to be the same person share it
  at: timestamptz nullable - simulated moment; null: the database's clock
  most: int - no more than so many
returns:
  message_id: uuid unique - the message
  title: text - its title
  text: text - its words
  link: text nullable - where a tap leads
  created_at: timestamptz - when it was put there
  expires_at: timestamptz - when it goes
  read_at: timestamptz nullable - when it was first read
*/
select message_id, title, text, link, created_at, expires_at, read_at
from campaign.inbox_messages
where
    customer_id in (select unnest(person.ids) from campaign.person(cast(:customer_id as text)) as person)
    and expires_at > coalesce(cast(:at as timestamptz), clock_timestamp())
order by created_at desc, message_id
limit cast(:most as int)
