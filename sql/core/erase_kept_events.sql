/*
Keep the moments of events that are a campaign's goal and that some figure counts, with the properties the goal asks for
and no other, under the random name and new numbers in the same order.

owner: engineering
grain: one row per event
params:
  ids: text[] - every id of the person
  pseudonym: text - the random name
  hours: int - the longest window
  goals: jsonb - event and properties of every campaign's goal
*/
insert into campaign.erased_events (event_id, customer_id, name, occurred_at, properties)
select
    cast(:pseudonym as text) || ':' || lpad(
        cast(
            row_number() over (order by events.event_id)
            + (select count(*) from campaign.erased_events where customer_id = cast(:pseudonym as text)) as text
        ),
        8, '0'
    ),
    cast(:pseudonym as text), events.name, events.occurred_at, wanted.properties
from campaign.happenings as events
cross join lateral (
    select coalesce(jsonb_object_agg(pair.key, pair.value) filter (where pair.key is not null), '{}') as properties
    from jsonb_to_recordset(cast(:goals as jsonb)) as goal (event text, properties jsonb)
    left join lateral jsonb_each(goal.properties) as pair on true
    where goal.event = events.name and coalesce(events.properties, '{}') @> goal.properties
    having count(*) > 0
) as wanted
where
    events.customer_id = any(cast(:ids as text[]))
    and (
        exists (
            select from campaign.enrolments
            where
                enrolments.customer_id = any(cast(:ids as text[]))
                and events.occurred_at between enrolments.enrolled_at
                and enrolments.enrolled_at + make_interval(hours => cast(:hours as int))
        )
        or exists (
            select from campaign.sends
            where
                sends.customer_id = any(cast(:ids as text[]))
                and events.occurred_at between coalesce(sends.accepted_at, sends.claimed_at)
                and coalesce(sends.accepted_at, sends.claimed_at) + make_interval(hours => cast(:hours as int))
        )
    )
