/*
Close the episodes that are over: merged into an earlier one, goal or stop event seen, campaign ended, or the person
is no longer in the segment.

Absence says something only about whom this run looked at: everybody in a full pass, else those whose purchase days
changed. Someone found with another episode has left the earlier one.

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
with open_enrolments as materialized (
    select
        enrolments.enrolment_id, enrolments.episode, enrolments.anchor_at, person.customer_id as person_id, person.ids,
        row_number() over (
            partition by person.customer_id order by enrolments.enrolled_at, enrolments.enrolment_id
        ) as place
    from campaign.enrolments
    cross join lateral campaign.person(enrolments.customer_id) as person
    where enrolments.campaign = cast(:campaign as text) and enrolments.closed_at is null
),

judged as materialized (
    select
        open_enrolments.enrolment_id,
        case
            when open_enrolments.place > 1 then 'merged'
            when exists (
                select from campaign.stop_events(
                    open_enrolments.ids, cast(:goal_event as text), cast(:goal_where as jsonb),
                    open_enrolments.anchor_at, cast(:as_of as timestamptz)
                )
            ) then 'goal'
            when
                (cast(:goal_event as text), cast(:goal_where as jsonb))
                <> (cast(:stop_event as text), cast(:stop_where as jsonb))
                and exists (
                    select from campaign.stop_events(
                        open_enrolments.ids, cast(:stop_event as text), cast(:stop_where as jsonb),
                        open_enrolments.anchor_at, cast(:as_of as timestamptz)
                    )
                ) then 'stop_event'
            when cast(:ended as boolean) then 'campaign_ended'
            when
                (
                    cast(:full_pass as boolean)
                    or chosen.episode is not null
                    or exists (select from looked_at where looked_at.person_id = open_enrolments.person_id)
                )
                and chosen.episode is distinct from open_enrolments.episode
                then 'left_segment'
        end as reason
    from open_enrolments
    left join chosen on chosen.person_id = open_enrolments.person_id
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
