/*
The indexes of core.purchases, as statements that drop them and make them again.

owner: engineering
grain: one row per index or key
returns:
  drop: text - statement
  create: text - statement
*/
select
    case
        when pg_constraint.conname is not null
            then format('alter table core.purchases drop constraint %I', pg_constraint.conname)
        else format('drop index core.%I', pg_class.relname)
    end as drop,
    case
        when pg_constraint.conname is not null
            then format(
                'alter table core.purchases add constraint %I %s',
                pg_constraint.conname,
                pg_get_constraintdef(pg_constraint.oid)
            )
        else pg_get_indexdef(pg_class.oid)
    end as create
from pg_index
inner join pg_class on pg_index.indexrelid = pg_class.oid
left join pg_constraint on pg_class.oid = pg_constraint.conindid and pg_constraint.contype = 'p'
where pg_index.indrelid = cast('core.purchases' as regclass)
order by pg_class.relname
