/*
Delete page views whose period is over; those of people in an open episode stay. A line of one that was deleted brings
nothing back (core/visits_aged).

owner: engineering
grain: one row
params:
  before: timestamptz - what happened before this moment goes
  at_most: int - rows of one batch
returns:
  deleted: bigint - how many
*/
with old as materialized (
    select visits.visit_id
    from core.visits
    where
        visits.viewed_at < cast(:before as timestamptz)
        and not exists (
            select
            from campaign.person(visits.customer_id) as person
            inner join campaign.enrolments on enrolments.customer_id = any(person.ids)
            where visits.customer_id is not null and enrolments.closed_at is null
        )
    limit cast(:at_most as int)
),

noted as (
    insert into core.aged (entity, aged_before)
    select 'visits', cast(:before as timestamptz)
    where exists (select from old)
    on conflict (entity) do update set aged_before = greatest(aged.aged_before, excluded.aged_before)
),

deleted as (
    delete from core.visits
    where visit_id in (select old.visit_id from old)
    returning visit_id
)

select count(*) as deleted
from deleted
