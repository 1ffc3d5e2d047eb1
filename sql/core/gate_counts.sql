/*
What became of the lines of a load.

owner: engineering
grain: one row per verdict and reason
returns:
  verdict: text - accepted, duplicate, quarantined, parked or erased
  reason: text nullable - reason code
  lines: bigint - source lines
  things: bigint - orders, where several lines make one; else the same
  trimmed: bigint - lines whose id had blanks around it
  repeated_time: bigint - lines with a wall-clock time that happened twice, read as the first
*/
select
    verdict,
    reason,
    count(*) as lines,
    count(*) filter (where head) as things,
    count(*) filter (where is_trimmed) as trimmed,
    count(*) filter (where is_repeated) as repeated_time
from checked
group by verdict, reason
order by verdict, reason
