/*
Writers who may be one of the customers that a load describes, or were one of them until now.

owner: engineering
grain: one row per writer, into the temporary table touched_writers
*/
insert into touched_writers (writer_id)
select writers.writer_id
from described_customers
inner join core.writers using (customer_id)
union
select writers.writer_id
from described_customers
inner join core.writers on described_customers.customer_id = writers.writer_id
union
select writer_numbers.writer_id
from described_customers
inner join core.customers using (customer_id)
inner join core.writer_numbers on customers.phone_e164 = writer_numbers.phone
