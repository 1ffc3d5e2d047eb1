/*
Conversations that one of ten ads began, over ninety days up to the last instant, each of a customer of its own.

owner: engineering
grain: one row per conversation
params:
  conversations: int - how many
  until: timestamptz - the end of the history
*/
with
talks as (
    select
        lpad(cast(number as text), 8, '0') as number,
        cast(:until as timestamptz) - random() * interval '90 days' as opened_at,
        'ad' || number % 10 as ad_id,
        random() < 0.3 as is_qualified
    from generate_series(1, cast(:conversations as integer)) as number
),

milestones as (
    insert into core.milestones (conversation_id, milestone, milestone_at)
    select 'v' || number, 'lead', opened_at from talks
    union all
    select 'v' || number, 'qualified', opened_at + interval '20 minutes' from talks where is_qualified
),

ads as (
    insert into core.ads (ad_id, updated_at, campaign_name, bot_id, status, load_id)
    select distinct ad_id, cast('2020-01-01 00:00:00+00' as timestamptz), 'bench', 'bot', 'active', 0 from talks
),

customers as (
    insert into core.customers (customer_id)
    select 'c' || number from talks
)

insert into core.conversations (
    conversation_id, customer_id, channel, account, ad_id, bot_id, opened_at, milestone, milestone_at, updated_at,
    load_id
)
select
    'v' || number, 'c' || number, 'whatsapp', '1', ad_id, 'bot', opened_at, 'lead', opened_at, opened_at, 0
from talks
