/*
Move the anchor of the open episodes of people chosen to the message their steps count from (A4), and keep the
segment's columns as they are now.

That is the customer's newest message; under `before_first_retarget`, once a step has left, the newest before it.

owner: engineering
grain: one row
params:
  campaign: text - the campaign
  as_of: timestamptz - decision clock
  follows_replies: boolean - count from the newest message; else from the newest before the first step left
returns:
  moved: bigint - anchors that moved
*/
with wanted as (
    select
        enrolments.enrolment_id,
        chosen.evidence,
        coalesce(
            (
                select max(messages.sent_at)
                from facts.messages
                where
                    messages.conversation_id = enrolments.episode
                    and messages.is_customer_message
                    and messages.sent_at <= cast(:as_of as timestamptz)
                    and (
                        cast(:follows_replies as boolean)
                        or first_step.left_at is null
                        or messages.sent_at < first_step.left_at
                    )
            ),
            enrolments.anchor_at
        ) as anchor_at
    from chosen_ids
    inner join chosen on chosen.person_id = chosen_ids.person_id
    inner join campaign.enrolments
        on enrolments.campaign = cast(:campaign as text)
        and enrolments.customer_id = chosen_ids.customer_id
        and enrolments.episode = chosen.episode
        and enrolments.closed_at is null
    cross join lateral (
        select min(coalesce(sends.accepted_at, sends.claimed_at)) as left_at
        from campaign.sends
        where
            sends.enrolment_id = enrolments.enrolment_id
            and sends.state not in ('planned', 'retry_wait', 'rejected', 'suppressed', 'cancelled', 'expired')
    ) as first_step
),

moved as (
    update campaign.enrolments
    set
        anchor_at = wanted.anchor_at,
        evidence = wanted.evidence
    from wanted
    where
        enrolments.enrolment_id = wanted.enrolment_id
        and (enrolments.anchor_at, enrolments.evidence) is distinct from (wanted.anchor_at, wanted.evidence)
    returning enrolments.enrolment_id
)

select count(*) as moved
from moved
