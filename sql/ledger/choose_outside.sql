/*
How many of those whom a run enrolled have no free window when each of their steps leaves, so that a campaign that
writes in it only excludes them (R16): as the claim asks, that of their conversation is over by then, or never opened.

Each step is taken to leave as soon as it may on what is known now: one that is overdue leaves at once, and those after
it keep their distance (A2b). Quiet hours, caps and consents are not asked.

owner: engineering
grain: one row
params:
  campaign: text - the campaign
  run_id: bigint - the run
  as_of: timestamptz - decision clock
  steps: jsonb - variant and seconds after the anchor of the campaign's WhatsApp messages
returns:
  people: bigint - enrolled, not held out, and not to be written to in a free window
*/
with steps as materialized (
    select
        step.variant,
        make_interval(secs => step.send_after_seconds) as send_after,
        make_interval(
            secs => step.send_after_seconds - min(step.send_after_seconds) over (partition by step.variant)
        ) as waits
    from jsonb_to_recordset(cast(:steps as jsonb)) as step (
        variant text, send_after_seconds double precision
    )
)

select count(*) as people
from campaign.enrolments
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
        inner join core.leads
            on leads.conversation_id = enrolments.episode
            and leads.free_opens_at <= leaving.at
            and leads.free_ends_at > leaving.at
        inner join core.conversations on leads.conversation_id = conversations.conversation_id
        left join campaign.whatsapp_source as source on true
        where
            steps.variant = enrolments.variant
            and coalesce(
                conversations.account
                = any(case when conversations.is_derived then source.webhook_accounts else source.file_accounts end),
                true
            )
    )
