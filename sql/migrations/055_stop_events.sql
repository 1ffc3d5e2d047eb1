-- What ends an episode is looked up person by person. What was bought since the statistics were taken lies behind their
-- end and looks like next to nothing, so one walk over everybody's latest purchases seemed cheaper than the index of the
-- customer, and was done for each person; the fence keeps the period out of the choice.
create or replace function campaign.stop_events(
    ids text[], wanted_event text, wanted_properties jsonb, since timestamptz, until timestamptz
)
returns table (occurred_at timestamptz)
language sql stable
as $$
    select theirs.purchased_at
    from unnest(ids) as who (customer_id)
    cross join lateral (
        select
            purchases.purchased_at, purchases.status, purchases.cancelled_by, purchases.amount, purchases.currency,
            purchases.coupon_code
        from core.purchases
        where purchases.customer_id = who.customer_id
        offset 0
    ) as theirs
    where wanted_event = 'purchase'
        and theirs.purchased_at between since and until
        and theirs.status = 'paid'
        and theirs.cancelled_by is null
        and jsonb_build_object(
            'amount', theirs.amount, 'currency', theirs.currency, 'coupon_code', theirs.coupon_code
        ) @> wanted_properties
    union all
    select theirs.occurred_at
    from unnest(ids) as who (customer_id)
    cross join lateral (
        select events.occurred_at, events.properties
        from core.events
        where events.customer_id = who.customer_id and events.name = wanted_event
        offset 0
    ) as theirs
    where wanted_event <> 'purchase'
        and theirs.occurred_at between since and until
        and coalesce(theirs.properties, '{}') @> wanted_properties
    union all
    select milestones.milestone_at
    from core.conversations
    inner join core.milestones on milestones.conversation_id = conversations.conversation_id
    where wanted_event = 'qualified'
        and conversations.customer_id = any(ids)
        and milestones.milestone = 'qualified'
        and milestones.milestone_at between since and until
$$;
