-- What files say under an id of WhatsApp counts for the customer it turned out to be, and replies are heard at once.

-- The id under which a row came, where that is an id of WhatsApp and its customer has another: customer_id follows the
-- link and goes back with it. Null: the row came as customer_id says.
alter table core.events add column came_as text;
alter table core.purchases add column came_as text;
alter table core.conversations add column came_as text;
create index on core.events (came_as) where came_as is not null;
create index on core.purchases (came_as) where came_as is not null;
create index on core.conversations (came_as) where came_as is not null;

-- Said by the person in a conversation of their own: no edit or revocation, and nothing in a group.
alter table campaign.replies add column is_said boolean not null default true;
create index replies_of_nobody on campaign.replies (address_hmac) where customer_id is null;

-- Whose messages wait for the load that brings them in.
create index on raw.received_messages (writer_id);
create index on raw.received_messages (wa_id);

-- Lines that came under an id of WhatsApp before. Purchases stay under it until its link changes: their purchase days
-- would have to be computed anew.
with came as (
    select events.event_id, aliases.alias_id, aliases.customer_id
    from core.aliases
    inner join core.events on events.customer_id = aliases.alias_id
    where aliases.reason = 'whatsapp'
)

update core.events
set customer_id = came.customer_id, came_as = came.alias_id
from came
where events.event_id = came.event_id;

with came as (
    select conversations.conversation_id, aliases.alias_id, aliases.customer_id
    from core.aliases
    inner join core.conversations on conversations.customer_id = aliases.alias_id
    where aliases.reason = 'whatsapp'
)

update core.conversations
set customer_id = came.customer_id, came_as = came.alias_id
from came
where conversations.conversation_id = came.conversation_id;

-- Every milestone that the data do not tell is derived again.
delete from core.milestone_rule;
