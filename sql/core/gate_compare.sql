/*
Lines whose key is known already and which do not win over what is stored.

The same content again is a duplicate, an older stamp an older version; other content under an equal stamp contradicts,
unless its hash is the greater one.

owner: engineering
grain: one row; updates the lines that do not stand
params:
  stamp_is_made: boolean - the export has no stamp, so the same content again is a duplicate at any time
returns:
  known: bigint - lines whose key is known already
*/
with met as (
    select
        came.line_no,
        case
            when
                came.content = stored.content
                and (came.stamp is not distinct from stored.stamp or cast(:stamp_is_made as boolean))
                then 'repeated'
            when came.stamp < stored.stamp then 'older_version'
            when
                came.stamp is not distinct from stored.stamp
                and sha256(convert_to(came.content, 'UTF8')) < sha256(convert_to(stored.content, 'UTF8'))
                then 'conflicting_version'
        end as reason
    from checked as came
    inner join stored on came.key = stored.key
    where came.verdict = 'accepted' and came.head
),

judged as (
    update checked
    set
        verdict = case met.reason when 'conflicting_version' then 'quarantined' else 'duplicate' end,
        reason = met.reason
    from met
    where checked.line_no = met.line_no and met.reason is not null
)

select count(*) as known
from met
