/*
From each id an open step names to the person of today.

owner: engineering
*/
create temporary table people_ids on commit drop as
select unnest(people.ids) as customer_id, people.person_id
from people
