/*
Whom of the people an open episode of a campaign may bring into its ad audiences: never someone of the holdout (I14),
with what ends a stay. Of two people who turn out to be one, the earlier enrolment says whether they are held out, as
for the run that will close the later one (ledger/close).

Reads the temporary tables people and people_ids.

owner: engineering
params:
  campaign: text - the campaign
  as_of: timestamptz - decision clock
  max_days: int - longest stay in an audience
  goal_event: text - purchase, or the name of an event (A23)
  goal_where: jsonb - properties it must have
  stop_event: text - purchase, or the name of an event
  stop_where: jsonb - properties it must have
*/
create temporary table audience_people on commit drop as
with episodes as materialized (
    select distinct on (standing.person_id)
        standing.person_id, standing.enrolment_id, standing.stops_from, standing.first_arm,
        standing.enrolled_at + make_interval(days => cast(:max_days as int)) <= cast(:as_of as timestamptz)
            as has_stayed_long
    from (
        select
            people_ids.person_id, enrolments.enrolment_id, enrolments.arm, enrolments.enrolled_at,
            coalesce(enrolments.stops_from, enrolments.anchor_at) as stops_from,
            last_value(enrolments.arm) over (
                partition by people_ids.person_id
                order by enrolments.enrolled_at desc, enrolments.enrolment_id desc
                rows between unbounded preceding and unbounded following
            ) as first_arm
        from people_ids
        inner join campaign.enrolments
            on
                enrolments.campaign = cast(:campaign as text)
                and enrolments.customer_id = people_ids.customer_id
                and enrolments.closed_at is null
    ) as standing
    where standing.arm = 'treated'
    order by standing.person_id, standing.enrolled_at desc, standing.enrolment_id desc
)

select
    people.person_id, people.ids, customers.country,
    coalesce(customers.email_canonical, customers.phone_e164) is not null as has_contact,
    customers.email_canonical, customers.phone_e164, customers.first_name, customers.last_name,
    coalesce(customers.email_reason, customers.phone_reason) as contact_reason,
    case
        when episodes.first_arm = 'holdout' then 'merged'
        when stops.stops_at <= cast(:as_of as timestamptz) then 'stop_event'
        when episodes.has_stayed_long then 'longest_stay'
    end as ended_by,
    episodes.enrolment_id, stops.stops_at
from episodes
inner join people on people.person_id = episodes.person_id
cross join lateral (
    -- also what lies in the future already: nobody will note it again when it comes
    select min(ends.occurred_at) as stops_at
    from (
        select goals.occurred_at
        from campaign.stop_events(
            people.ids, cast(:goal_event as text), cast(:goal_where as jsonb), episodes.stops_from, 'infinity'
        ) as goals
        union all
        select others.occurred_at
        from campaign.stop_events(
            people.ids, cast(:stop_event as text), cast(:stop_where as jsonb), episodes.stops_from, 'infinity'
        ) as others
        where
            (cast(:goal_event as text), cast(:goal_where as jsonb))
            <> (cast(:stop_event as text), cast(:stop_where as jsonb))
    ) as ends
) as stops
left join core.customers on customers.customer_id = people.person_id
