/*
Keys that come more than once in a load (repeated_keys): which line stands, and what the others are.

The newest stamp stands; of equal stamps the content with the greater hash. The same content again is a duplicate, an
older stamp an older version, and other content under an equal stamp contradicts.

owner: engineering
grain: updates the lines that do not stand
params:
  stamp_is_made: boolean - the export has no stamp, so the same content again is a duplicate at any time
*/
with ranked as (
    select
        checked.line_no,
        checked.stamp,
        checked.content,
        first_value(checked.line_no) over best_first as best_line_no,
        first_value(checked.stamp) over best_first as best_stamp,
        first_value(checked.content) over best_first as best_content
    from checked
    inner join repeated_keys on hashtextextended(checked.key, 0) = repeated_keys.hash
    where checked.verdict = 'accepted' and checked.head
    window
        best_first as (
            partition by checked.key
            order by
                checked.stamp desc nulls last,
                sha256(convert_to(checked.content, 'UTF8')) desc,
                checked.line_no asc
        )
),

judged as (
    select
        line_no,
        case
            when content = best_content and (stamp is not distinct from best_stamp or cast(:stamp_is_made as boolean))
                then 'repeated'
            when stamp < best_stamp then 'older_version'
            else 'conflicting_version'
        end as reason
    from ranked
    where line_no <> best_line_no
)

update checked
set
    verdict = case judged.reason when 'conflicting_version' then 'quarantined' else 'duplicate' end,
    reason = judged.reason
from judged
where checked.line_no = judged.line_no
