/*
Write down what the configuration calls sensitive now; what it said before is ended and stays on record.

owner: engineering
params:
  columns: jsonb - column_name, keys and shown_because of each
*/
with

given as materialized (
    select listed.column_name, listed.keys, listed.shown_because
    from jsonb_to_recordset(cast(:columns as jsonb)) as listed (column_name text, keys text[], shown_because text)
),

ended as (
    update campaign.sensitive_columns as known
    set ended_at = clock_timestamp()
    where
        known.ended_at is null
        and not exists (
            select from given
            where
                given.column_name = known.column_name
                and given.keys = known.keys
                and given.shown_because is not distinct from known.shown_because
        )
    returning known.column_name
)

insert into campaign.sensitive_columns (column_name, keys, shown_because)
select given.column_name, given.keys, given.shown_because
from given
left join ended on ended.column_name = given.column_name
where
    ended.column_name is not null
    or not exists (
        select from campaign.sensitive_columns as known
        where known.column_name = given.column_name and known.ended_at is null
    )
