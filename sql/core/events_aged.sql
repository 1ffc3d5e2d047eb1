/*
Lines of events from before those whose period is over were deleted: what is not stored has been here before, or is too
old to be kept.

owner: engineering
grain: updates the lines of events that are too old
*/
update checked
set verdict = 'duplicate', reason = 'too_old'
from core.aged
where
    aged.entity = 'events'
    and checked.occurred_at < aged.aged_before
    and checked.verdict = 'accepted'
    and checked.head
    and not exists (select from core.events where events.event_id = checked.event_id)
