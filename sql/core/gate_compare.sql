/*
Lines whose key is known already and which do not win over what is stored.

owner: engineering
grain: updates the lines that do not stand
params:
  stamp_is_made: boolean - the export has no stamp, so the same content again is a duplicate at any time
*/
update checked as came
set
    verdict = case
        when came.content = stored.content and (came.stamp is not distinct from stored.stamp or cast(:stamp_is_made as boolean))
            then 'duplicate'
        when came.stamp < stored.stamp then 'duplicate'
        else 'quarantined'
    end,
    reason = case
        when came.content = stored.content and (came.stamp is not distinct from stored.stamp or cast(:stamp_is_made as boolean))
            then 'repeated'
        when came.stamp < stored.stamp then 'older_version'
        else 'conflicting_version'
    end
from stored
where
    came.key = stored.key
    and came.verdict = 'accepted'
    and came.head
    and (
        came.stamp < stored.stamp
        or (came.content = stored.content and cast(:stamp_is_made as boolean))
        or (
            came.stamp is not distinct from stored.stamp
            and (
                came.content = stored.content
                or sha256(convert_to(came.content, 'UTF8'))
                < sha256(convert_to(stored.content, 'UTF8'))
            )
        )
    )
