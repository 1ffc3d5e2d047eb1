/*
What holds now for every step of the episodes this plan looked at (open_episodes), counted.

owner: engineering
grain: one row per step, state, reason and channel
returns:
  step: text - the step or sub-step
  state: text - what was decided
  reason: text nullable - why
  channel: text nullable - how the person is reached
  people: bigint - how many
  changed: bigint - how many of them were decided differently, or not at all, before
*/
with decided as (
    select decisions.enrolment_id, decisions.step, decisions.state, decisions.reason, decisions.channel
    from open_episodes
    inner join campaign.decisions
        on decisions.enrolment_id = open_episodes.enrolment_id
        and decisions.superseded_at is null
    inner join campaign.enrolments on enrolments.enrolment_id = open_episodes.enrolment_id
    where enrolments.closed_at is null
)

select
    decided.step, decided.state, decided.reason, decided.channel, count(*) as people,
    count(*) filter (where verdicts.is_changed) as changed
from decided
left join verdicts on verdicts.enrolment_id = decided.enrolment_id and verdicts.step = decided.step
group by decided.step, decided.state, decided.reason, decided.channel
order by decided.step, people desc
