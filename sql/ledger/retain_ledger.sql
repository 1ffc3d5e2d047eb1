/*
Delete occasions that have been over for longer than the period, with everything that hangs on them: the episode is
closed, every message has ended for certain, no report waits to take effect, and the newest moment of all is old enough.

From then on the ledger remembers since `before` only, in the same transaction: whoever chooses asks that moment
(ledger/choose_forgotten).

owner: engineering
grain: one row
params:
  before: timestamptz - what was over before this moment goes
  at_most: int - occasions of one batch
returns:
  deleted: bigint - how many occasions
*/
with old as materialized (
    select enrolments.enrolment_id, enrolments.campaign, enrolments.customer_id
    from campaign.enrolments
    where
        enrolments.closed_at < cast(:before as timestamptz)
        and greatest(enrolments.enrolled_at, enrolments.anchor_at) < cast(:before as timestamptz)
        and not exists (
            select from campaign.sends
            where
                sends.enrolment_id = enrolments.enrolment_id
                and (
                    sends.state in ('planned', 'in_flight', 'retry_wait', 'unknown')
                    or greatest(
                        sends.planned_at, sends.claimed_at, sends.accepted_at, sends.settled_at, sends.resent_at
                    ) >= cast(:before as timestamptz)
                    or exists (
                        select from campaign.attempts
                        inner join campaign.provider_events as events on events.attempt_id = attempts.attempt_id
                        where
                            attempts.send_key = sends.send_key
                            and (events.settled_at is null or events.applied_at is null)
                    )
                )
        )
        and not exists (
            select from campaign.decisions
            where
                decisions.campaign = enrolments.campaign
                and decisions.customer_id = enrolments.customer_id
                and decisions.enrolment_id = enrolments.enrolment_id
                and decisions.decided_at >= cast(:before as timestamptz)
        )
    order by enrolments.enrolment_id
    limit cast(:at_most as int)
    for update of enrolments skip locked
),

old_sends as materialized (
    select sends.send_key
    from campaign.sends
    where sends.enrolment_id in (select old.enrolment_id from old)
),

attempts as (
    delete from campaign.attempts where send_key in (select old_sends.send_key from old_sends)
),

message_reports as (
    delete from campaign.message_reports where send_key in (select old_sends.send_key from old_sends)
),

voucher_events as (
    delete from campaign.voucher_events where send_key in (select old_sends.send_key from old_sends)
),

inbox_messages as (
    delete from campaign.inbox_messages where send_key in (select old_sends.send_key from old_sends)
),

sends as (
    delete from campaign.sends where send_key in (select old_sends.send_key from old_sends)
),

decisions as (
    delete from campaign.decisions
    using old
    where
        decisions.campaign = old.campaign
        and decisions.customer_id = old.customer_id
        and decisions.enrolment_id = old.enrolment_id
),

outcomes as (
    delete from campaign.outcomes where enrolment_id in (select old.enrolment_id from old)
),

enrolments as (
    delete from campaign.enrolments where enrolment_id in (select old.enrolment_id from old)
    returning enrolment_id
),

remembered as (
    update campaign.database
    set remembers_since = cast(:before as timestamptz)
    where
        exists (select from old)
        and coalesce(remembers_since, '-infinity') < cast(:before as timestamptz)
)

select count(*) as deleted
from enrolments
