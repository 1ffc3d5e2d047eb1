/*
Let the decisions in force follow the ledger: where a send's state, reason or channel changed, close the decision and
open the next one. Called in the transaction of every change but a claim's that hands over: that lasts a moment, and
what comes of it is a change again. What no channel is viable for has none, as in a plan.

owner: engineering
grain: one row per changed decision
params:
  send_keys: text[] - rows that may have moved
  at: timestamptz nullable - simulated moment for rows that were not claimed; null: the database's clock
  is_claim: boolean - the moment of a claimed row is its own claimed_at
  moments: jsonb - by send key, the moment a claim decided about the row, whether it may leave, ends or waits
  gates: jsonb - by send key, what the channels answered where they were asked again
  run_id: bigint nullable - the run that moved them
returns:
  decision_id: bigint unique - the decision in force now
*/
with

clock as materialized (
    select coalesce(cast(:at as timestamptz), clock_timestamp()) as at
),

moved as materialized (
    select
        sends.enrolment_id, sends.campaign, sends.customer_id, sends.episode, sends.step, sends.state, sends.reason,
        cast(:gates as jsonb) -> sends.send_key as gates,
        case
            when
                sends.state <> 'suppressed'
                or sends.reason in ('quiet', 'outside_free_window', 'needs_template')
                then sends.channel
        end as channel,
        coalesce(
            cast(cast(:moments as jsonb) ->> sends.send_key as timestamptz),
            case when cast(:is_claim as boolean) then coalesce(sends.settled_at, sends.claimed_at) end,
            clock.at
        ) as at
    from campaign.sends
    cross join clock
    where sends.send_key = any(cast(:send_keys as text[]))
),

closed as (
    update campaign.decisions
    set superseded_at = greatest(moved.at, decisions.decided_at)
    from moved
    where
        decisions.enrolment_id = moved.enrolment_id
        and decisions.step = moved.step
        and decisions.superseded_at is null
        and (decisions.state, decisions.reason, decisions.channel)
        is distinct from (moved.state, moved.reason, moved.channel)
    returning decisions.enrolment_id, decisions.step, decisions.gates, decisions.superseded_at
)

insert into campaign.decisions (
    enrolment_id, campaign, customer_id, episode, step, state, reason, channel, gates, run_id, decided_at
)
select
    moved.enrolment_id, moved.campaign, moved.customer_id, moved.episode, moved.step, moved.state, moved.reason,
    moved.channel,
    coalesce(moved.gates, closed.gates, '[]'),
    cast(:run_id as bigint),
    coalesce(closed.superseded_at, moved.at)
from moved
left join closed on closed.enrolment_id = moved.enrolment_id and closed.step = moved.step
where
    closed.enrolment_id is not null
    or not exists (
        select from campaign.decisions
        where
            decisions.enrolment_id = moved.enrolment_id
            and decisions.step = moved.step
            and decisions.superseded_at is null
    )
returning decision_id
