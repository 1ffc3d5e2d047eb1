/*
Whose events a load takes away: as stored, before newer versions replace them.

owner: engineering
grain: one row per customer, into the temporary table touched_customers
*/
insert into touched_customers (customer_id, since)
select
    stored.customer_id,
    min(stored.occurred_at)
from checked
inner join stored using (key)
where checked.verdict = 'accepted' and checked.head
group by stored.customer_id
