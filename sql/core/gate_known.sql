/*
Lines parked when they were checked whose customer has come since.

owner: engineering
grain: updates parked lines
*/
update checked
set verdict = 'accepted', customer_known = true
from core.customers
where checked.verdict = 'parked' and checked.customer_id = customers.customer_id
