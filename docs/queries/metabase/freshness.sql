/*
How fresh everything is: what the figures were measured at, the newest run of every flow, the newest delivery of every
source.

Metabase: no variables. An alert may watch hours_old.

hours_old is only known where time is real: a simulated database has none.
*/
with moments (what, name, state, as_of) as (
    select 'figures', 'evaluation', 'measured', as_of
    from evaluation.data_as_of
    union all
    select 'run', flow, 'completed', max(as_of)
    from evaluation.runs
    group by flow
    union all
    select 'delivery', source || ' / ' || entity, state, as_of
    from evaluation.loads
)

select
    moments.what,
    moments.name,
    moments.state,
    moments.as_of,
    case
        when database.mode = 'live' then round(cast(extract(epoch from now() - moments.as_of) / 3600 as numeric), 1)
    end as hours_old
from moments
cross join evaluation.database
order by moments.what, moments.name
