/*
Close the episodes that are over: merged into an earlier one, goal or stop event seen, campaign ended, or the person
is no longer in the segment.

Absence says something only about whom this run looked at: everybody in a full pass, else those whose facts
changed. Someone found with another episode has left the earlier one.

Of two people who turn out to be one, the earlier enrolment stands. Of two occasions the one stands that the segment has
chosen, as for anybody, unless their arms differ: nobody who was held out is written to after all.

owner: engineering
grain: one row per closed enrolment
params:
  campaign: text - the campaign
  as_of: timestamptz - decision clock
  goal_event: text - purchase, or the name of an event (A23)
  goal_where: jsonb - properties it must have
  stop_event: text - purchase, or the name of an event
  stop_where: jsonb - properties it must have
  ended: boolean - whether the campaign is over
  full_pass: boolean - whether everybody was looked at
returns:
  close_reason: text - why
  closed: bigint - how many
*/
with found as materialized (
    select distinct person_id, episode
    from chosen
),

seen as materialized (
    select person_id
    from chosen
    union
    select person_id
    from looked_at
),

open_enrolments as materialized (
    select
        enrolments.enrolment_id, enrolments.episode, enrolments.arm, enrolments.enrolled_at,
        coalesce(enrolments.stops_from, enrolments.anchor_at) as stops_from,
        person.customer_id as person_id, person.ids,
        found.person_id is null and (cast(:full_pass as boolean) or seen.person_id is not null) as is_left
    from campaign.enrolments
    cross join lateral campaign.person(enrolments.customer_id) as person
    left join found on found.person_id = person.customer_id and found.episode = enrolments.episode
    left join seen on seen.person_id = person.customer_id
    where enrolments.campaign = cast(:campaign as text) and enrolments.closed_at is null
),

placed as materialized (
    select
        open_enrolments.*,
        first_value(arm) over everyone <> arm
        or coalesce(episode = any(array_agg(episode) over earlier), false) as is_merged
    from open_enrolments
    window
        everyone as (partition by person_id order by enrolled_at, enrolment_id),
        earlier as (everyone rows between unbounded preceding and 1 preceding)
),

judged as materialized (
    select
        placed.enrolment_id,
        case
            when placed.is_merged then 'merged'
            when exists (
                select from campaign.stop_events(
                    placed.ids, cast(:goal_event as text), cast(:goal_where as jsonb),
                    placed.stops_from, cast(:as_of as timestamptz)
                )
            ) then 'goal'
            when
                (cast(:goal_event as text), cast(:goal_where as jsonb))
                <> (cast(:stop_event as text), cast(:stop_where as jsonb))
                and exists (
                    select from campaign.stop_events(
                        placed.ids, cast(:stop_event as text), cast(:stop_where as jsonb),
                        placed.stops_from, cast(:as_of as timestamptz)
                    )
                ) then 'stop_event'
            when cast(:ended as boolean) then 'campaign_ended'
            when placed.is_left then 'left_segment'
        end as reason
    from placed
),

closed as (
    update campaign.enrolments
    set
        closed_at = cast(:as_of as timestamptz),
        close_reason = judged.reason
    from judged
    where enrolments.enrolment_id = judged.enrolment_id and judged.reason is not null
    returning enrolments.close_reason
)

select close_reason, count(*) as closed
from closed
group by close_reason
