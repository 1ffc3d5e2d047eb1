/*
Everyone an open episode of a campaign may bring into its ad audiences: never someone of the holdout (I14), under the id
they have today, with what ends a stay. Who is in none and was enrolled longer ago than the longest stay is left out,
since they could only leave.

owner: engineering
params:
  campaign: text - the campaign
  as_of: timestamptz - decision clock
  max_days: int - longest stay in an audience
  goal_event: text - purchase, or the name of an event (A23)
  goal_where: jsonb - properties it must have
  stop_event: text - purchase, or the name of an event
  stop_where: jsonb - properties it must have
  members_only: boolean - only people who are wanted in an audience already: nobody new is looked for
*/
create temporary table audience_people on commit drop as
with members as materialized (
    select distinct customer_id
    from campaign.audience_members
    where campaign = cast(:campaign as text) and desired
),

candidates as materialized (
    select enrolments.enrolment_id
    from campaign.enrolments
    where
        not cast(:members_only as boolean)
        and enrolments.campaign = cast(:campaign as text)
        and enrolments.closed_at is null
        -- a bound for the index only, since days with a clock change are longer
        and enrolments.enrolled_at > cast(:as_of as timestamptz) - make_interval(days => cast(:max_days as int) + 1)
    union
    select enrolments.enrolment_id
    from members
    cross join lateral campaign.person(members.customer_id) as person
    cross join lateral unnest(person.ids) as theirs (customer_id)
    inner join campaign.enrolments
        on enrolments.campaign = cast(:campaign as text)
        and enrolments.customer_id = theirs.customer_id
        and enrolments.closed_at is null
    where person.customer_id = members.customer_id
),

persons as materialized (
    select distinct on (person.customer_id)
        person.customer_id as person_id, person.ids,
        coalesce(enrolments.stops_from, enrolments.anchor_at) as stops_from,
        enrolments.enrolled_at + make_interval(days => cast(:max_days as int)) <= cast(:as_of as timestamptz)
            as has_stayed_long
    from candidates
    inner join campaign.enrolments on enrolments.enrolment_id = candidates.enrolment_id
    cross join lateral campaign.person(enrolments.customer_id) as person
    where enrolments.arm = 'treated'
    order by person.customer_id, enrolments.enrolled_at desc
)

select
    persons.person_id, persons.ids, customers.country,
    coalesce(customers.email_canonical, customers.phone_e164) is not null as has_contact,
    customers.email_canonical, customers.phone_e164,
    encode(
        sha256(
            convert_to(
                coalesce(customers.email_canonical, '') || '|' || coalesce(customers.phone_e164, ''), 'UTF8'
            )
        ), 'hex'
    ) as contact_sha256,
    case
        when
            exists (
                select from campaign.stop_events(
                    persons.ids, cast(:goal_event as text), cast(:goal_where as jsonb), persons.stops_from,
                    cast(:as_of as timestamptz)
                )
            )
            or exists (
                select from campaign.stop_events(
                    persons.ids, cast(:stop_event as text), cast(:stop_where as jsonb), persons.stops_from,
                    cast(:as_of as timestamptz)
                )
            )
            then 'stop_event'
        when persons.has_stayed_long then 'longest_stay'
    end as ended_by
from persons
left join core.customers on customers.customer_id = persons.person_id
