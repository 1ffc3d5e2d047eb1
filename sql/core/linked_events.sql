/*
Events that came under ids of WhatsApp count for the customers whom these are now, or for the ids again.

owner: engineering
grain: updates the events whose customer is another one now
*/
update core.events
set customer_id = linked.customer_id, came_as = nullif(linked.writer_id, linked.customer_id)
from linked_writers as linked
where
    (events.came_as = linked.writer_id or (events.customer_id = linked.writer_id and events.came_as is null))
    and events.customer_id <> linked.customer_id
