/*
Delete every fact about one person.

owner: engineering
grain: one row
params:
  ids: text[] - every id of the person
  emails: text[] - their addresses, in any spelling
  conversations: text[] - their conversations
  visitors: text[] - browsers that only they used
returns:
  counts: jsonb - rows per table
*/
with checkouts as (
    delete from core.checkouts
    where
        customer_id = any(cast(:ids as text[]))
        or guest_id = any(cast(:ids as text[]))
        or (customer_id is null and lower(email) in (select lower(given) from unnest(cast(:emails as text[])) as given))
        or (customer_id is null and visitor_id = any(cast(:visitors as text[])))
    returning checkout_id
),

messages as (
    delete from core.messages
    where
        conversation_id = any(cast(:conversations as text[]))
        or writer_id = any(cast(:ids as text[]))
    returning message_id
),

writers as (
    delete from core.writers
    where writer_id = any(cast(:ids as text[])) or customer_id = any(cast(:ids as text[]))
    returning writer_id
),

writer_numbers as (
    delete from core.writer_numbers where writer_id = any(cast(:ids as text[])) returning writer_id
),

received_messages as (
    delete from raw.received_messages
    where writer_id = any(cast(:ids as text[])) or wa_id = any(cast(:ids as text[]))
    returning received_id
),

conversations_changed as (
    delete from core.conversations_changed
    where conversation_id = any(cast(:conversations as text[]))
),

milestones as (
    delete from core.milestones where conversation_id = any(cast(:conversations as text[])) returning conversation_id
),

leads as (
    delete from core.leads where conversation_id = any(cast(:conversations as text[])) returning conversation_id
),

silences_changed as (
    delete from core.silences_changed where customer_id = any(cast(:ids as text[])) returning customer_id
),

conversations as (
    delete from core.conversations where customer_id = any(cast(:ids as text[])) returning conversation_id
),

purchases as (
    delete from core.purchases where customer_id = any(cast(:ids as text[])) returning order_id
),

purchase_days as (
    delete from core.purchase_days
    where customer_id = any(cast(:ids as text[]))
    returning customer_id, day, number, next_day, expected_on
),

-- What they bought stays in the sums of how customers buy, as all figures do; from today on nobody waits for them.
waited_for as (
    select
        gone.number,
        due.happened_on as late_on,
        greatest(
            gone.day,
            (
                select cast(max(runs.as_of) at time zone max(place.business_zone) as date)
                from campaign.runs
                cross join campaign.database as place
                where runs.flow = 'erase'
            )
        ) as today
    from purchase_days as gone
    cross join core.buying_filled as filled
    left join
        lateral core.buying_of(gone.day, gone.number, gone.next_day, gone.expected_on, filled.margin_days) as due
        on due.what = 'late'
    where gone.next_day is null
),

waited_for_no_more as (
    insert into core.buying (what, happened_on, days, people)
    select
        ended.what,
        ended.happened_on,
        0,
        sum(ended.people)
    from waited_for
    cross join
        lateral (
            values
            ('second', case when waited_for.number >= 2 then waited_for.today end, -1),
            ('over', case when waited_for.late_on <= waited_for.today then waited_for.today end, 1),
            ('late', case when waited_for.late_on > waited_for.today then waited_for.late_on end, -1)
        ) as ended (what, happened_on, people)
    where ended.happened_on is not null
    group by ended.what, ended.happened_on
    on conflict (what, happened_on, days) do update
    set people = buying.people + excluded.people
),

purchase_days_changed as (
    delete from core.purchase_days_changed where customer_id = any(cast(:ids as text[])) returning customer_id
),

people_changed as (
    delete from core.people_changed where customer_id = any(cast(:ids as text[])) returning customer_id
),

events as (
    delete from core.events where customer_id = any(cast(:ids as text[])) returning event_id
),

consents as (
    delete from core.consents where customer_id = any(cast(:ids as text[])) returning consent_id
),

replaced_consents as (
    delete from core.replaced_consents where customer_id = any(cast(:ids as text[])) returning consent_id
),

push_tokens as (
    delete from core.push_tokens where customer_id = any(cast(:ids as text[])) returning token_id
),

visits as (
    delete from core.visits
    where
        customer_id = any(cast(:ids as text[]))
        or (customer_id is null and visitor_id = any(cast(:visitors as text[])))
    returning visit_id
),

aliases as (
    delete from core.aliases
    where alias_id = any(cast(:ids as text[])) or customer_id = any(cast(:ids as text[]))
    returning alias_id
),

guests as (
    delete from core.guests where guest_id = any(cast(:ids as text[])) returning guest_id
),

guest_claims as (
    delete from core.guest_claims where customer_id = any(cast(:ids as text[])) returning guest_id
),

customers as (
    delete from core.customers where customer_id = any(cast(:ids as text[])) returning customer_id
)

select
    jsonb_build_object(
        'core.aliases', (select count(*) from aliases),
        'core.checkouts', (select count(*) from checkouts),
        'core.consents', (select count(*) from consents),
        'core.conversations', (select count(*) from conversations),
        'core.customers', (select count(*) from customers),
        'core.events', (select count(*) from events),
        'core.leads', (select count(*) from leads),
        'core.guest_claims', (select count(*) from guest_claims),
        'core.guests', (select count(*) from guests),
        'core.messages', (select count(*) from messages),
        'core.milestones', (select count(*) from milestones),
        'core.people_changed', (select count(*) from people_changed),
        'core.purchase_days', (select count(*) from purchase_days),
        'core.purchase_days_changed', (select count(*) from purchase_days_changed),
        'core.purchases', (select count(*) from purchases),
        'core.push_tokens', (select count(*) from push_tokens),
        'core.replaced_consents', (select count(*) from replaced_consents),
        'core.silences_changed', (select count(*) from silences_changed),
        'core.visits', (select count(*) from visits),
        'core.writer_numbers', (select count(*) from writer_numbers),
        'core.writers', (select count(*) from writers),
        'raw.received_messages', (select count(*) from received_messages)
    ) as counts
