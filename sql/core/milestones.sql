/*
Every milestone a load tells of, whichever version of its conversation stands: history knows no newer version.

owner: engineering
grain: one row per conversation, milestone and moment
*/
insert into core.milestones (conversation_id, milestone, milestone_at)
select distinct
    conversation_id,
    milestone,
    milestone_at
from checked
where
    milestone is not null
    and (verdict in ('accepted', 'duplicate') or reason = 'conflicting_version')
on conflict (conversation_id, milestone, milestone_at) do update
set is_derived = false
where milestones.is_derived
