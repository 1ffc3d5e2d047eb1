/*
Note people of whom a load has found out that they are somebody else, or nobody else any more, and who that is.

owner: engineering
grain: one row per id
params:
  ids: text[] - ids that stand for another person now
*/
insert into core.people_changed (customer_id)
select given.id
from unnest(cast(:ids as text[])) as given (id)
union
select aliases.customer_id
from core.aliases
where aliases.alias_id = any(cast(:ids as text[]))
order by 1
on conflict (customer_id) do update
set changed_at = excluded.changed_at
