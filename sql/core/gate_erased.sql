/*
Lines about people who asked to be forgotten: nothing of them is kept, not even in quarantine.

owner: engineering
grain: updates the lines of people in the temporary table erased_customers
*/
update checked
set verdict = 'erased', reason = null, column_name = null
from erased_customers
where checked.customer_id = erased_customers.customer_id
