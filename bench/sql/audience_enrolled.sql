/*
Everybody is enrolled in a campaign, has bought before that, and has agreed to be shown its ads.

owner: engineering
grain: one row per customer
params:
  campaign: text - the campaign
  since: int - the number of the first customer
  until: int - the number of the last one
  as_of: timestamptz - when they were enrolled
*/
with run as (
    insert into campaign.runs (flow, campaign, as_of, state)
    values ('reengage', :campaign, cast(:as_of as timestamptz), 'completed')
    returning run_id
),

made as (
    insert into core.customers (
        customer_id, email, email_canonical, phone, phone_e164, first_name, last_name, language, country
    )
    select
        'p' || lpad(cast(n as text), 7, '0'), 'p' || n || '@example.com', 'p' || n || '@example.com',
        '+1650' || lpad(cast(n as text), 7, '0'), '+1650' || lpad(cast(n as text), 7, '0'), 'Ann', 'Smith', 'en', 'US'
    from generate_series(cast(:since as int), cast(:until as int)) as n
    returning customer_id
),

agreed as (
    insert into core.consents (
        consent_id, customer_id, channel, purpose, status, basis, occurred_at, ad_user_data, ad_personalization
    )
    select
        made.customer_id || channel, made.customer_id, channel, 'marketing', 'granted', 'express',
        timestamptz '2025-01-01', true, true
    from made
    cross join unnest(array['google', 'meta']) as channel
),

bought as (
    insert into core.purchases (
        order_id, customer_id, purchased_at, amount, currency, status, updated_at, load_id
    )
    select
        'first-' || customer_id, customer_id, timestamptz '2025-06-01', 10, 'USD', 'paid', timestamptz '2025-06-01', 0
    from made
)

insert into campaign.enrolments (
    campaign, customer_id, episode, anchor_at, enrolled_at, run_id, experiment_version, arm, variant, assigned_u,
    variant_u, first_in_experiment, segment_sha256, config_sha256
)
select
    :campaign, made.customer_id, '2026-01-01', cast(:as_of as timestamptz), cast(:as_of as timestamptz), run.run_id,
    'v1', 'treated', 'control', 0.5, 0.5, true, '', ''
from run
cross join made
