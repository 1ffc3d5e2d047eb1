/*
The indexes of a table in core, as statements that drop them and make them again.

owner: engineering
grain: one row per index or key
params:
  relation: text - name of the table
returns:
  drop: text - statement
  create: text - statement
*/
select
    case
        when pg_constraint.conname is not null
            then format('alter table core.%I drop constraint %I', cast(:relation as text), pg_constraint.conname)
        else format('drop index core.%I', pg_class.relname)
    end as drop,
    case
        when pg_constraint.conname is not null
            then format(
                'alter table core.%I add constraint %I %s',
                cast(:relation as text),
                pg_constraint.conname,
                pg_get_constraintdef(pg_constraint.oid)
            )
        else pg_get_indexdef(pg_class.oid)
    end as create
from pg_index
inner join pg_class on pg_index.indexrelid = pg_class.oid
left join pg_constraint on pg_class.oid = pg_constraint.conindid and pg_constraint.contype = 'p'
where pg_index.indrelid = cast(format('core.%I', cast(:relation as text)) as regclass)
order by pg_class.relname
