/*
Close the decisions that no longer hold and write down what is decided now, with every gate that was asked, so that it
can be explained later (I20).

A decision that the ledger moved while this plan was made stands: the next run looks at it again. One about a step that
has another name now is closed without a successor.

owner: engineering
params:
  campaign: text - the campaign
  as_of: timestamptz - decision clock
  run_id: bigint - the run
*/
with closed as (
    update campaign.decisions
    set superseded_at = greatest(cast(:as_of as timestamptz), decisions.decided_at)
    from verdicts
    where
        decisions.decision_id = verdicts.decision_id
        and decisions.superseded_at is null
        and verdicts.is_changed
    returning decisions.decision_id, decisions.superseded_at
)

insert into campaign.decisions (
    enrolment_id, campaign, customer_id, episode, step, state, reason, channel, gates, run_id, decided_at
)
select
    verdicts.enrolment_id, cast(:campaign as text), verdicts.customer_id, verdicts.episode, verdicts.step,
    verdicts.state, verdicts.reason, verdicts.channel, verdicts.gates, cast(:run_id as bigint),
    coalesce(closed.superseded_at, cast(:as_of as timestamptz))
from verdicts
left join closed on closed.decision_id = verdicts.decision_id
where
    verdicts.is_changed
    and not verdicts.is_replaced
    and (verdicts.decision_id is null or closed.decision_id is not null)
order by verdicts.enrolment_id, verdicts.step
