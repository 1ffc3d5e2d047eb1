-- Campaigns over conversations: an anchor that moves with the customer's messages, and qualifying as goal or stop event.

-- Stop events count from here and not from an anchor that has moved: the opening of the conversation, so that whoever
-- qualified before their last message is found too. Null: the anchor, which does not move.
alter table campaign.enrolments add column stops_from timestamptz;

-- What may be a goal or end a sequence beside purchases: events, and that a lead qualified, whose name is `qualified`.
create view campaign.happenings as
select event_id, customer_id, name, occurred_at, properties
from core.events
union all
select
    'qualified:' || milestones.conversation_id || ':' || cast(milestones.milestone_at as text),
    conversations.customer_id, milestones.milestone, milestones.milestone_at, null
from core.conversations
inner join core.milestones on milestones.conversation_id = conversations.conversation_id
where milestones.milestone = 'qualified';

create or replace view campaign.measured_events as
select event_id, customer_id, name, occurred_at, properties from campaign.happenings
union all
select event_id, customer_id, name, occurred_at, properties from campaign.erased_events;

-- As in migration 004, with qualifications among the events.
create or replace function campaign.stop_events(
    ids text[], wanted_event text, wanted_properties jsonb, since timestamptz, until timestamptz
)
returns table (occurred_at timestamptz)
language sql stable
as $$
    select purchases.purchased_at
    from core.purchases
    where wanted_event = 'purchase'
        and purchases.customer_id = any(ids)
        and purchases.purchased_at between since and until
        and purchases.status = 'paid'
        and purchases.cancelled_by is null
        and jsonb_build_object(
            'amount', purchases.amount, 'currency', purchases.currency, 'coupon_code', purchases.coupon_code
        ) @> wanted_properties
    union all
    select events.occurred_at
    from core.events
    where wanted_event <> 'purchase'
        and events.customer_id = any(ids)
        and events.name = wanted_event
        and events.occurred_at between since and until
        and coalesce(events.properties, '{}') @> wanted_properties
    union all
    select milestones.milestone_at
    from core.conversations
    inner join core.milestones on milestones.conversation_id = conversations.conversation_id
    where wanted_event = 'qualified'
        and conversations.customer_id = any(ids)
        and milestones.milestone = 'qualified'
        and milestones.milestone_at between since and until
$$;
