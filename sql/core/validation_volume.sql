/*
What the loads before this one brought: how many count, and the median of their lines.

Parked and quarantined lines that were routed again are not what the source delivered, and do not count. Nor do the
incremental loads of a source's first twelve hours: they bring years of history at once, and their sizes say nothing
about a day. A source that delivers everything each time is as big on its first day as later.

owner: engineering
grain: one row
params:
  load_id: bigint - the load in question
  loads: int - how many loads before it count
returns:
  loads: bigint - loads found, at most that many
  median: double precision nullable - median of their lines
*/
with delivered as (
    select
        earlier.load_id,
        earlier.lines_in,
        earlier.state,
        earlier.incremental,
        earlier.as_of,
        min(earlier.as_of) over () as first_as_of
    from raw.loads as this
    inner join raw.loads as earlier
        on
            this.source = earlier.source
            and this.entity = earlier.entity
            and this.incremental = earlier.incremental
            and earlier.load_id < this.load_id
            and earlier.state <> 'failed'
            and earlier.options ->> 'again' is null
    where this.load_id = cast(:load_id as bigint)
),

before as (
    select lines_in
    from delivered
    where state = 'merged' and (not incremental or as_of > first_as_of + interval '12 hours')
    order by load_id desc
    limit cast(:loads as int)
)

select
    count(*) as loads,
    percentile_cont(0.5) within group (order by lines_in) as median
from before
