/*
What the loads before this one brought: how many count, and the median of their lines.

Parked and quarantined lines that were routed again are not what the source delivered, and do not count.

owner: engineering
grain: one row
params:
  load_id: bigint - the load in question
  loads: int - how many loads before it count
returns:
  loads: bigint - loads found, at most that many
  median: double precision nullable - median of their lines
*/
with before as (
    select earlier.lines_in
    from raw.loads as this
    inner join raw.loads as earlier
        on
            this.source = earlier.source
            and this.incremental = earlier.incremental
            and earlier.load_id < this.load_id
            and earlier.state = 'merged'
            and earlier.options ->> 'again' is null
    where this.load_id = cast(:load_id as bigint)
    order by earlier.load_id desc
    limit cast(:loads as int)
)

select
    count(*) as loads,
    percentile_cont(0.5) within group (order by lines_in) as median
from before
