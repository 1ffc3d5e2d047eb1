/*
Delete events whose period is over; those of people in an open episode stay, and so do those of people with a
conversation, whose milestones are derived from them again and again. A line of one that was deleted brings nothing back
(core/events_aged).

owner: engineering
grain: one row
params:
  before: timestamptz - what happened before this moment goes
  at_most: int - rows of one batch
returns:
  deleted: bigint - how many
*/
with old as materialized (
    select events.event_id
    from core.events
    where
        events.occurred_at < cast(:before as timestamptz)
        and not exists (
            select
            from campaign.person(events.customer_id) as person
            inner join campaign.enrolments on enrolments.customer_id = any(person.ids)
            where enrolments.closed_at is null
        )
        and not exists (
            select
            from campaign.person(events.customer_id) as person
            inner join core.conversations on conversations.customer_id = any(person.ids)
        )
    limit cast(:at_most as int)
),

noted as (
    insert into core.aged (entity, aged_before)
    select 'events', cast(:before as timestamptz)
    where exists (select from old)
    on conflict (entity) do update set aged_before = greatest(aged.aged_before, excluded.aged_before)
),

deleted as (
    delete from core.events
    where event_id in (select old.event_id from old)
    returning event_id
)

select count(*) as deleted
from deleted
