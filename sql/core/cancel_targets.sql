/*
Orders whose cancellation a load may change: what its rows cancel, and orders that come after what cancels them.

owner: engineering
grain: one row per order, into the temporary table cancel_targets
*/
insert into cancel_targets (order_id)
select cancels
from checked
where verdict = 'accepted' and head and cancels is not null
union
select checked.order_id
from checked
inner join core.purchases as cancelling on checked.order_id = cancelling.cancels
where checked.verdict = 'accepted' and checked.head and cancelling.cancels is not null
