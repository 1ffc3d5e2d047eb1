/*
Say for every enrolled person once where they stand in a campaign and why, over all their episodes and steps.

owner: engineering
grain: one row per campaign, standing, state, reason, language and country
params:
  as_of: timestamptz - the moment that is measured
*/
insert into evaluation.people (campaign, standing, state, reason, language, country, people)
with enrolled as (
    select
        enrolment.enrolment_id,
        enrolment.campaign,
        enrolment.customer_id,
        enrolment.arm,
        enrolment.language,
        enrolment.country,
        coalesce(alias.customer_id, enrolment.customer_id) as person_id
    from campaign.enrolments as enrolment
    left join core.aliases as alias on alias.alias_id = enrolment.customer_id
    where enrolment.enrolled_at <= cast(:as_of as timestamptz)
),

decided as (
    select
        decision.enrolment_id, decision.campaign, decision.customer_id, decision.step, decision.state,
        decision.reason, decision.decided_at
    from campaign.decisions as decision
    where decision.decided_at <= cast(:as_of as timestamptz)
        and (decision.superseded_at is null or decision.superseded_at > cast(:as_of as timestamptz))
),

-- Where a send exists the ledger knows best; a decision in force may be older than its answer.
steps as (
    select
        enrolled.campaign,
        enrolled.person_id,
        enrolled.enrolment_id,
        enrolled.customer_id,
        enrolled.language,
        enrolled.country,
        coalesce(decided.step, send.step, '') as step,
        case
            when enrolled.arm = 'holdout' then 'holdout'
            when send.accepted_at > cast(:as_of as timestamptz) then 'planned'
            else coalesce(send.state, decided.state, 'waiting')
        end as state,
        case when send.send_key is null then decided.reason else coalesce(send.reason, decided.reason) end as reason,
        decided.decided_at
    from enrolled
    left join decided on decided.enrolment_id = enrolled.enrolment_id
    left join campaign.sends as send
        on send.enrolment_id = enrolled.enrolment_id
            and (decided.step is null or send.step = decided.step)
            and send.planned_at <= cast(:as_of as timestamptz)
),

ranks (state, rank, standing) as (
    values
    ('accepted', 0, 'reached'),
    ('holdout', 1, 'holdout'),
    ('unknown', 2, 'in_doubt'),
    ('in_flight', 3, 'to_come'),
    ('retry_wait', 4, 'to_come'),
    ('planned', 5, 'to_come'),
    ('waiting', 6, 'to_come'),
    ('rejected', 7, 'not_reached'),
    ('suppressed', 8, 'not_reached'),
    ('abandoned', 9, 'not_reached'),
    ('expired', 10, 'not_reached'),
    ('cancelled', 11, 'not_reached')
),

persons as (
    select distinct on (steps.campaign, steps.person_id)
        steps.campaign, steps.person_id, steps.enrolment_id, steps.customer_id, steps.step, steps.state,
        steps.reason, ranks.standing, steps.language, steps.country
    from steps
    inner join ranks using (state)
    order by
        steps.campaign, steps.person_id, ranks.rank, steps.decided_at desc nulls last, steps.enrolment_id desc,
        steps.step, coalesce(steps.reason, '')
),

-- A step that ran out of time was held up by something; that is the reason a reader wants.
explained as (
    select
        persons.campaign,
        persons.standing,
        persons.state,
        case
            when persons.standing not in ('not_reached', 'to_come') then ''
            when persons.state = 'expired' then coalesce(held_up.reason, '')
            else coalesce(persons.reason, '')
        end as reason,
        coalesce(persons.language, customer.language, '') as language,
        coalesce(persons.country, customer.country, '') as country
    from persons
    left join campaign.measured_customers as customer on customer.customer_id = persons.person_id
    left join lateral (
        select earlier.reason
        from campaign.decisions as earlier
        where persons.state = 'expired'
            and earlier.campaign = persons.campaign
            and earlier.customer_id = persons.customer_id
            and earlier.enrolment_id = persons.enrolment_id
            and earlier.step = persons.step
            and earlier.state <> 'expired'
            and earlier.reason is not null
            and earlier.decided_at <= cast(:as_of as timestamptz)
        order by earlier.decided_at desc, earlier.decision_id desc
        limit 1
    ) as held_up on true
)

select campaign, standing, state, reason, language, country, count(*)
from explained
group by campaign, standing, state, reason, language, country
