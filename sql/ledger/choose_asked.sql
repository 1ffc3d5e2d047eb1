/*
Whose episodes may be over: with something left to decide, opened since the last run, with an end that was known before
it came (stops_at), or of somebody of whom something has changed or whom this run found or looked at. Under every id.

owner: engineering
params:
  campaign: text - the campaign
  as_of: timestamptz - decision clock
  everybody: boolean - every open episode, settled or not
  since_run: bigint nullable - the last run that closed; what it enrolled has not been asked yet
*/
create temporary table asked_ids on commit drop as
with asked_people as (
    select person_id
    from chosen
    union
    select person_id
    from looked_at
    union
    select person_id
    from changed_people
),

asked as materialized (
    select enrolments.customer_id
    from campaign.enrolments
    where
        cast(:everybody as boolean)
        and enrolments.campaign = cast(:campaign as text)
        and enrolments.closed_at is null
    union
    select enrolments.customer_id
    from campaign.enrolments
    where
        not cast(:everybody as boolean)
        and enrolments.campaign = cast(:campaign as text)
        and enrolments.closed_at is null
        and coalesce(enrolments.reopened_by, enrolments.run_id) >= cast(:since_run as bigint)
    union
    select enrolments.customer_id
    from campaign.enrolments
    where
        not cast(:everybody as boolean)
        and enrolments.campaign = cast(:campaign as text)
        and enrolments.closed_at is null
        and enrolments.stops_at <= cast(:as_of as timestamptz)
    union
    select decisions.customer_id
    from campaign.decisions
    where
        not cast(:everybody as boolean)
        and decisions.campaign = cast(:campaign as text)
        and decisions.superseded_at is null
        and decisions.state in ('planned', 'in_flight', 'retry_wait', 'unknown', 'suppressed', 'waiting')
        and not (
            decisions.state = 'suppressed'
            and coalesce(decisions.reason, '') in ('quiet', 'outside_free_window', 'needs_template')
        )
    union
    select asked_people.person_id
    from asked_people
    where not cast(:everybody as boolean)
)

select unnest(persons.ids) as customer_id, persons.person_id, persons.ids
from (
    select distinct on (person.customer_id) person.customer_id as person_id, person.ids
    from asked
    cross join lateral campaign.person(asked.customer_id) as person
    order by person.customer_id
) as persons
