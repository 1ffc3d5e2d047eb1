/*
Everybody whom a load's messages are from or to, and the numbers they came with; also of versions that do not stand, so
that nothing hangs on what came first. What is said in a group makes nobody known.

owner: engineering
grain: one row per writer, into the temporary table touched_writers
*/
with came as (
    select
        writer_id,
        wa_id,
        coalesce(phone, '+' || wa_id) as phone,
        sent_at
    from checked
    where
        writer_id is not null
        and group_id is null
        and (verdict in ('accepted', 'duplicate') or reason = 'conflicting_version')
),

writers as (
    insert into core.writers (writer_id, customer_id)
    select distinct
        writer_id,
        writer_id as customer_id
    from came
    order by writer_id
    on conflict (writer_id) do nothing
),

numbers as (
    insert into core.writer_numbers (writer_id, wa_id, phone, last_at)
    select
        writer_id,
        wa_id,
        min(phone),
        max(sent_at)
    from came
    where wa_id is not null
    group by writer_id, wa_id
    order by writer_id, wa_id
    on conflict (writer_id, wa_id) do update
    set last_at = excluded.last_at
    where writer_numbers.last_at < excluded.last_at
)

insert into touched_writers (writer_id)
select distinct writer_id
from came
