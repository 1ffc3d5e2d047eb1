/*
Everyone an open episode of a campaign may bring into its ad audiences: never someone of the holdout (I14), under the id
they have today, with what ends a stay.

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
with persons as materialized (
    select distinct on (person.customer_id)
        person.customer_id as person_id, person.ids,
        coalesce(enrolments.stops_from, enrolments.anchor_at) as stops_from,
        enrolments.enrolled_at + make_interval(days => cast(:max_days as int)) <= cast(:as_of as timestamptz)
            as has_stayed_long
    from campaign.enrolments
    cross join lateral campaign.person(enrolments.customer_id) as person
    where
        enrolments.campaign = cast(:campaign as text)
        and enrolments.closed_at is null
        and enrolments.arm = 'treated'
        and (
            not cast(:members_only as boolean)
            or person.customer_id in (
                select members.customer_id
                from campaign.audience_members as members
                where members.campaign = cast(:campaign as text) and members.desired
            )
        )
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
