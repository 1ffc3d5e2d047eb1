/*
Close the episodes that are over: merged into an earlier one, goal or stop event seen, campaign ended, or the person
is no longer in the segment.

Absence says something only about whom this run looked at: everybody in a full pass, else those whose facts
changed. Someone found with another episode has left the earlier one.

Asks about everybody in asked_ids (ledger/choose_asked), and all their open episodes.

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
        enrolments.stops_at as known_stop_at,
        coalesce(enrolments.stops_from, enrolments.anchor_at) as stops_from,
        asked_ids.person_id, asked_ids.ids,
        found.person_id is null and (cast(:full_pass as boolean) or seen.person_id is not null) as is_left
    from asked_ids
    inner join campaign.enrolments
        on enrolments.campaign = cast(:campaign as text)
        and enrolments.customer_id = asked_ids.customer_id
        and enrolments.closed_at is null
    left join found on found.person_id = asked_ids.person_id and found.episode = enrolments.episode
    left join seen on seen.person_id = asked_ids.person_id
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

-- Also what lies in the future already, so that nobody has to ask again before it comes.
stopped as materialized (
    select
        placed.*,
        (
            select min(goals.occurred_at)
            from campaign.stop_events(
                placed.ids, cast(:goal_event as text), cast(:goal_where as jsonb), placed.stops_from, 'infinity'
            ) as goals
        ) as goal_at,
        case
            when
                (cast(:goal_event as text), cast(:goal_where as jsonb))
                <> (cast(:stop_event as text), cast(:stop_where as jsonb))
                then (
                    select min(stops.occurred_at)
                    from campaign.stop_events(
                        placed.ids, cast(:stop_event as text), cast(:stop_where as jsonb), placed.stops_from, 'infinity'
                    ) as stops
                )
        end as stop_at
    from placed
),

judged as materialized (
    select
        stopped.enrolment_id,
        stopped.known_stop_at,
        least(stopped.goal_at, stopped.stop_at) as stops_at,
        case
            when stopped.is_merged then 'merged'
            when stopped.goal_at <= cast(:as_of as timestamptz) then 'goal'
            when stopped.stop_at <= cast(:as_of as timestamptz) then 'stop_event'
            when cast(:ended as boolean) then 'campaign_ended'
            when stopped.is_left then 'left_segment'
        end as reason
    from stopped
),

known as (
    update campaign.enrolments
    set stops_at = judged.stops_at
    from judged
    where
        enrolments.enrolment_id = judged.enrolment_id
        and judged.reason is null
        and judged.stops_at is distinct from judged.known_stop_at
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
