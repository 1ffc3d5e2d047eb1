/*
How many of those whom a run enrolled will be charged for when each of their steps leaves, so that a campaign that
writes for free only excludes them (R16): their free window is over by then, or never opened.

Each step is taken to leave as soon as it may on what is known now: one that is overdue leaves at once, and those after
it keep their distance (A2b). Quiet hours, caps and consents are not asked.

owner: engineering
grain: one row
params:
  campaign: text - the campaign
  run_id: bigint - the run
  as_of: timestamptz - decision clock
  steps: jsonb - variant, seconds after the anchor and category of the campaign's WhatsApp messages
returns:
  people: bigint - enrolled, not held out, and not to be written to for free
*/
with steps as materialized (
    select
        step.variant,
        step.category,
        make_interval(secs => step.send_after_seconds) as send_after,
        make_interval(
            secs => step.send_after_seconds - min(step.send_after_seconds) over (partition by step.variant)
        ) as waits
    from jsonb_to_recordset(cast(:steps as jsonb)) as step (
        variant text, send_after_seconds double precision, category text
    )
)

select count(*) as people
from campaign.enrolments
cross join lateral campaign.person(enrolments.customer_id) as person
where
    enrolments.campaign = cast(:campaign as text)
    and enrolments.closed_at is null
    and coalesce(enrolments.reopened_by, enrolments.run_id) = cast(:run_id as bigint)
    and enrolments.run_id = cast(:run_id as bigint)
    and enrolments.arm = 'treated'
    and not exists (
        select from steps
        cross join lateral (
            select
                greatest(enrolments.anchor_at + steps.send_after, cast(:as_of as timestamptz) + steps.waits)
        ) as leaving (at)
        where
            steps.variant = enrolments.variant
            and not campaign.is_charged(person.ids, steps.category, leaving.at, leaving.at)
    )
