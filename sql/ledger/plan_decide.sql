/*
Write down what is decided now, with every gate that was asked, so that it can be explained later (I20).

owner: engineering
params:
  campaign: text - the campaign
  as_of: timestamptz - decision clock
  run_id: bigint - the run
*/
insert into campaign.decisions (
    enrolment_id, campaign, customer_id, episode, step, state, reason, channel, gates, run_id, decided_at
)
select
    enrolment_id, cast(:campaign as text), customer_id, episode, step, state, reason, channel, gates,
    cast(:run_id as bigint), cast(:as_of as timestamptz)
from verdicts
where is_changed
order by enrolment_id, step
