/*
Ids of WhatsApp under which lines of a load came and that turned out to be a customer's.

owner: engineering
grain: one row per id, into the temporary table linked_writers
*/
insert into linked_writers (writer_id, customer_id)
select distinct
    aliases.alias_id,
    aliases.customer_id
from checked
inner join core.aliases on checked.customer_id = aliases.alias_id
where checked.verdict = 'accepted' and checked.head and aliases.reason = 'whatsapp'
