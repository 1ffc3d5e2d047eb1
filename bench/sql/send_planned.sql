/*
A message to everyone, enrolled, decided and due a minute ago.

owner: engineering
grain: one row per message
params:
  campaign: text - the campaign
  channel: text - how
  provider: text - who delivers
*/
with run as (
    insert into campaign.runs (flow, campaign, as_of, state)
    values ('reengage', :campaign, clock_timestamp(), 'completed')
    returning run_id
),

enrolled as (
    insert into campaign.enrolments (
        campaign, customer_id, episode, anchor_at, enrolled_at, run_id, experiment_version, arm, variant, assigned_u,
        variant_u, first_in_experiment, segment_sha256, config_sha256, evidence
    )
    select
        :campaign, customers.customer_id, '2026-01-01', clock_timestamp() - interval '9 hours', clock_timestamp(),
        run.run_id, 'v1', 'treated', 'control', 0.5, 0.5, true, '', '',
        '{"days_since_last": 70, "average_gap_days": 30.5, "days_late": 9, "purchase_days": 3}'
    from run
    cross join core.customers
    returning enrolment_id, campaign, customer_id, episode, variant, arm
),

planned as (
    insert into campaign.sends (
        send_key, enrolment_id, campaign, customer_id, episode, step, variant, arm, channel, provider,
        template_version, due_at, not_before, expires_at, state, voucher_code, planned_at
    )
    select
        encode(sha256(convert_to(concat_ws('|', 'v1', campaign, customer_id, episode, '1'), 'UTF8')), 'hex'),
        enrolment_id, campaign, customer_id, episode, '1', variant, arm, :channel, :provider, 'v',
        clock_timestamp() - interval '1 minute', clock_timestamp() - interval '1 minute',
        clock_timestamp() + interval '7 days', 'planned', 'COMEBACK10', clock_timestamp() - interval '1 minute'
    from enrolled
    returning enrolment_id, campaign, customer_id, episode, step, state, channel, planned_at
)

insert into campaign.decisions (enrolment_id, campaign, customer_id, episode, step, state, channel, decided_at)
select enrolment_id, campaign, customer_id, episode, step, state, channel, planned_at
from planned
