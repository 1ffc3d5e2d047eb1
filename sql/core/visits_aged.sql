/*
Lines of page views from before those whose period is over were deleted: what is not stored has been here before, or is
too old to be kept.

owner: engineering
grain: updates the lines of page views that are too old
*/
update checked
set verdict = 'duplicate', reason = 'too_old'
from core.aged
where
    aged.entity = 'visits'
    and checked.viewed_at < aged.aged_before
    and checked.verdict = 'accepted'
    and checked.head
    and not exists (select from core.visits where visits.visit_id = checked.visit_id)
