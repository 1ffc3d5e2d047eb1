/*
Put a crowd on the stage: reachable people, each enrolled and with one message that has been due for an hour.

owner: engineering
grain: one row per message
params:
  people: jsonb - id, phone, channels (consented to) and channel (planned) of each person
  zone: text - where they all live
  evidence: jsonb - what the segment said about them
returns:
  send_key: text unique - the message
*/
with

clock as materialized (
    select clock_timestamp() - interval '1 hour' as at
),

people as materialized (
    select person.id, person.phone, person.channels, person.channel
    from jsonb_to_recordset(cast(:people as jsonb)) as person (id text, phone text, channels text[], channel text)
),

customers as (
    insert into core.customers (customer_id, email, email_canonical, phone_e164, first_name, time_zones)
    select id, id || '@example.com', id || '@example.com', phone, 'Ann', array[cast(:zone as text)]
    from people
),

consents as (
    insert into core.consents (consent_id, customer_id, channel, purpose, status, basis, occurred_at)
    select people.id || consented.channel, people.id, consented.channel, 'marketing', 'granted', 'express', clock.at
    from people
    cross join unnest(people.channels) as consented (channel)
    cross join clock
),

run as (
    insert into campaign.runs (flow, campaign, as_of, state)
    select 'reengage', 'back', clock.at, 'completed'
    from clock
    returning run_id
),

enrolled as (
    insert into campaign.enrolments (
        campaign, customer_id, episode, anchor_at, enrolled_at, run_id, experiment_version, arm, variant, assigned_u,
        variant_u, first_in_experiment, segment_sha256, config_sha256, evidence
    )
    select
        'back', people.id, people.id, clock.at, clock.at, run.run_id, 'v1', 'treated', 'control', 0.5,
        0.5, true, '', '', cast(:evidence as jsonb)
    from people
    cross join run
    cross join clock
    returning enrolment_id, customer_id, episode
),

planned as (
    insert into campaign.sends (
        send_key, enrolment_id, campaign, customer_id, episode, step, variant, arm, channel, provider,
        template_version, due_at, not_before, expires_at, state, planned_at
    )
    select
        encode(
            sha256(convert_to(concat_ws('|', 'v1', 'back', enrolled.customer_id, enrolled.episode, '1'), 'UTF8')), 'hex'
        ),
        enrolled.enrolment_id, 'back', enrolled.customer_id, enrolled.episode, '1', 'control', 'treated',
        people.channel, 'outbox', 'v', clock.at, clock.at, clock.at + interval '7 days', 'planned', clock.at
    from enrolled
    inner join people on people.id = enrolled.customer_id
    cross join clock
    returning send_key, enrolment_id, customer_id, episode, channel
),

decided as (
    insert into campaign.decisions (
        enrolment_id, campaign, customer_id, episode, step, state, channel, decided_at
    )
    select
        planned.enrolment_id, 'back', planned.customer_id, planned.episode, '1', 'planned', planned.channel, clock.at
    from planned
    cross join clock
)

select send_key from planned
