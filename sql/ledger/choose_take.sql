/*
Keep the segment rows just staged; someone found twice counts once.

owner: engineering
*/
insert into chosen (customer_id, person_id, anchor_at, episode, evidence)
select
    staged.customer_id, coalesce(aliases.customer_id, staged.customer_id), staged.anchor_at, staged.episode,
    staged.evidence
from segment_rows as staged
left join core.aliases on aliases.alias_id = staged.customer_id
on conflict (customer_id) do nothing
