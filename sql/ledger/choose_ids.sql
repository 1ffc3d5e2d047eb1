/*
Every id the chosen people ever had, so that an enrolment made under an earlier id is found.

owner: engineering
*/
create temporary table chosen_ids on commit drop as
select chosen.person_id as customer_id, chosen.person_id
from chosen
union
select chosen.customer_id, chosen.person_id
from chosen
union
select aliases.alias_id, aliases.customer_id
from core.aliases
inner join chosen on chosen.person_id = aliases.customer_id
