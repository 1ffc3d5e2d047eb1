/*
Who each touched writer is. A number that came with exactly one business-scoped id is that person's; whoever has a
number that exactly one customer of the shop has is that customer. Computed from all that is known, so that the answer
does not hang on the order in which it came; two or more customers with the number link nobody.

owner: engineering
grain: one row
params:
  as_of: timestamptz - the load's logical time
returns:
  moved: bigint - writers who are somebody else now
  ambiguous: bigint - people whose number several customers have
*/
with persons as (
    select touched_writers.writer_id from touched_writers
    union
    select with_number.writer_id
    from touched_writers
    inner join core.writer_numbers as with_number on touched_writers.writer_id = with_number.wa_id
),

-- with the numbers of theirs that are writers by themselves
affected as materialized (
    select persons.writer_id from persons
    union
    select numbers.wa_id
    from persons
    inner join core.writer_numbers as numbers on persons.writer_id = numbers.writer_id
    inner join core.writers on numbers.wa_id = writers.writer_id
),

owners as (
    select
        numbers.wa_id,
        min(numbers.writer_id) as writer_id
    from affected
    inner join core.writer_numbers as numbers on affected.writer_id = numbers.wa_id
    where numbers.writer_id <> numbers.wa_id
    group by numbers.wa_id
    having count(*) = 1
),

roots as materialized (
    select
        writers.writer_id,
        writers.customer_id as was,
        coalesce(owners.writer_id, writers.writer_id) as root
    from affected
    inner join core.writers on affected.writer_id = writers.writer_id
    left join owners on writers.writer_id = owners.wa_id
),

matches as (
    select
        roots.root,
        customers.customer_id
    from roots
    inner join core.writer_numbers as numbers on roots.root = numbers.writer_id
    inner join core.customers on numbers.phone = customers.phone_e164
    where not customers.is_bare
    union
    select
        roots.root,
        customers.customer_id
    from roots
    inner join core.customers on roots.root = customers.customer_id
    where not customers.is_bare
),

linked as (
    select
        root,
        min(customer_id) as customer_id,
        count(*) as customers
    from matches
    group by root
),

resolved as materialized (
    select
        roots.writer_id,
        roots.was,
        case when linked.customers = 1 then linked.customer_id else roots.root end as customer_id
    from roots
    left join linked on roots.root = linked.root
),

moved as (
    update core.writers
    set customer_id = resolved.customer_id
    from resolved
    where writers.writer_id = resolved.writer_id and resolved.was <> resolved.customer_id
    returning writers.writer_id, writers.customer_id
),

linked_now as (
    insert into linked_writers (writer_id, customer_id)
    select writer_id, customer_id from moved
),

merged as (
    insert into core.aliases (alias_id, customer_id, reason, merged_at)
    select
        resolved.writer_id,
        resolved.customer_id,
        'whatsapp',
        cast(:as_of as timestamptz)
    from resolved
    where resolved.writer_id <> resolved.customer_id
    order by resolved.writer_id
    on conflict (alias_id) do update
    set customer_id = excluded.customer_id, merged_at = excluded.merged_at
    where aliases.customer_id <> excluded.customer_id
),

parted as (
    delete from core.aliases
    using resolved
    where
        aliases.alias_id = resolved.writer_id
        and resolved.writer_id = resolved.customer_id
        and aliases.reason = 'whatsapp'
),

people as (
    insert into touched_people (customer_id)
    select was from resolved
    union
    select customer_id from resolved
)

select
    (select count(*) from moved) as moved,
    (
        select count(*)
        from linked
        where customers > 1
    ) as ambiguous
