/*
Open episodes with something left to decide: those opened since the last run, which have no decision for some step, and
those with a decision that says something may still happen. What has ended for good has a decision that says so, thus
whatever is settled costs a run nothing.

owner: engineering
params:
  campaign: text - the campaign
  everybody: boolean - every open episode, settled or not
  after_run: bigint nullable - the last run that planned; null: none has
*/
create temporary table open_episodes on commit drop as
select enrolments.enrolment_id
from campaign.enrolments
where
    cast(:everybody as boolean)
    and enrolments.campaign = cast(:campaign as text)
    and enrolments.closed_at is null
union
select enrolments.enrolment_id
from campaign.enrolments
where
    not cast(:everybody as boolean)
    and enrolments.campaign = cast(:campaign as text)
    and enrolments.closed_at is null
    and coalesce(enrolments.reopened_by, enrolments.run_id) > cast(:after_run as bigint)
union
select decisions.enrolment_id
from campaign.decisions
-- one by one: how few are unsettled, no statistics say
cross join lateral (
    select enrolments.closed_at
    from campaign.enrolments
    where enrolments.enrolment_id = decisions.enrolment_id
    offset 0
) as enrolments
where
    not cast(:everybody as boolean)
    and decisions.campaign = cast(:campaign as text)
    and decisions.superseded_at is null
    and decisions.state in ('planned', 'in_flight', 'retry_wait', 'unknown', 'suppressed', 'waiting')
    and not (
        decisions.state = 'suppressed'
        and coalesce(decisions.reason, '') in ('quiet', 'outside_free_window', 'needs_template')
    )
    and enrolments.closed_at is null
union
-- whatever moved a row of the ledger without its decision
select sends.enrolment_id
from campaign.sends
inner join campaign.enrolments on enrolments.enrolment_id = sends.enrolment_id
where
    not cast(:everybody as boolean)
    and sends.campaign = cast(:campaign as text)
    and sends.state in ('planned', 'retry_wait', 'in_flight', 'unknown')
    and enrolments.closed_at is null
