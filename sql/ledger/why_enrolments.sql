/*
A person's episodes in a campaign, under any id they ever had, as they stood at a moment.

owner: engineering
grain: one row per enrolment
params:
  customer_id: text - as the person asking knows them
  campaign: text - the campaign
  as_of: timestamptz - the moment asked about
returns:
  enrolment_id: bigint unique - the enrolment
  customer_id: text - the id it was made with
  episode: text - the occasion
  anchor_at: timestamptz - what the steps count from
  enrolled_at: timestamptz - when
  run_id: bigint - by which run
  experiment_version: text - version of the experiment
  arm: text - treated or holdout
  variant: text - message variant
  assigned_u: double precision - number of the published formula
  evidence: jsonb - what the segment said
  segment_sha256: text - segment and parameters in force
  config_sha256: text - the campaign as it was read
  closed_at: timestamptz nullable - when the episode ended
  close_reason: text nullable - why
*/
select
    enrolments.enrolment_id, enrolments.customer_id, enrolments.episode, enrolments.anchor_at, enrolments.enrolled_at,
    enrolments.run_id, enrolments.experiment_version, enrolments.arm, enrolments.variant, enrolments.assigned_u,
    enrolments.evidence, enrolments.segment_sha256, enrolments.config_sha256,
    case when enrolments.closed_at <= cast(:as_of as timestamptz) then enrolments.closed_at end as closed_at,
    case when enrolments.closed_at <= cast(:as_of as timestamptz) then enrolments.close_reason end as close_reason
from campaign.person(cast(:customer_id as text)) as person
inner join campaign.enrolments
    on enrolments.campaign = cast(:campaign as text)
    and enrolments.customer_id = any(person.ids)
where enrolments.enrolled_at <= cast(:as_of as timestamptz)
order by enrolments.enrolled_at, enrolments.enrolment_id
