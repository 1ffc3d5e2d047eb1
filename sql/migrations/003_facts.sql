-- What analysts read: no names, addresses, tokens or free text. The views belong to the pipeline's role, so the
-- analyst's login needs no right on the tables behind them.

create schema facts;

create view facts.customers as
select
    customer_id, language, country, region,
    case when time_zone = any(time_zones) then time_zone end as time_zone,  -- `at time zone` fails on an unknown one
    created_at, updated_at, is_bare
from core.customers;

create view facts.purchases as
select
    order_id, customer_id, purchased_at, amount, currency,
    case when cancelled_by is not null then 'cancelled' else status end as status,
    coupon_code, items, updated_at
from core.purchases;

create view facts.purchase_days as
select customer_id, day, number, first_day, at, next_day, next_at, expected_on
from core.purchase_days;

create view facts.checkouts as
select
    checkout_id, customer_id, visitor_id, status, failure_reason, amount, currency, language, country, items,
    coupon_code, opened_at, updated_at
from core.checkouts;

create view facts.events as
select event_id, customer_id, name, occurred_at, properties
from core.events;

create view facts.conversations as
select conversation_id, customer_id, channel, account, ad_id, bot_id, opened_at, milestone, milestone_at, updated_at
from core.conversations;

create view facts.milestones as
select conversation_id, milestone, milestone_at
from core.milestones;

create view facts.messages as
select message_id, conversation_id, direction, sender, sent_at, kind
from core.messages;

create view facts.ads as
select ad_id, updated_at, campaign_name, bot_id, status
from core.ads;

create view facts.consents as
select
    consent_id, customer_id, channel, purpose, status, basis, ad_user_data, ad_personalization, occurred_at,
    expires_at
from core.consents;

create view facts.push_tokens as
select token_id, customer_id, platform, active, updated_at
from core.push_tokens;

create view facts.visits as
select
    visit_id, session_id, visitor_id, customer_id, page_url, previous_url, referrer, keyword, source_type, city,
    country, language, device, window_width, window_height, visit_number, custom, viewed_at, left_at
from core.visits;
