-- A lead is one row: what retargeting asks about the conversations that ads began. When the customer said something is
-- known from the messages themselves, which no table repeats any more.

-- One row per conversation that an ad began and its customer has written in, with what is known of it today; every
-- moment is the event's own, so what was so at as_of is read by comparing them (said_at alone has been moved since).
create table core.leads (
    conversation_id text primary key,
    customer_id text not null,
    ad_id text not null,
    opened_at timestamptz not null,
    said_at timestamptz not null,         -- the customer's last message (R13); bots and agents end no silence
    -- The free entry window (A2): from the business's first answer, when that comes within 24 hours of the customer's
    -- first message, for 72 hours; null: none opened.
    free_opens_at timestamptz,
    free_ends_at timestamptz,
    deep_at timestamptz,                  -- the first deep conversation; null: none
    -- The first qualification in this conversation, or in any of the person's since it was opened; null: none.
    qualified_at timestamptz
);
-- Who fell silent when, and who has written since a moment asked about.
create index leads_said on core.leads (said_at);
-- Whoever something changed for is looked at again.
create index leads_of_customer on core.leads (customer_id);

-- What is there already, as core/leads_fill writes it.
with said as (
    select
        messages.conversation_id,
        min(messages.sent_at) as first_at,
        max(messages.sent_at) as said_at
    from facts.messages
    where messages.is_customer_message
    group by messages.conversation_id
),

talks as materialized (
    select
        conversations.conversation_id,
        conversations.customer_id,
        conversations.ad_id,
        conversations.opened_at,
        said.first_at,
        said.said_at
    from core.conversations
    inner join said on conversations.conversation_id = said.conversation_id
    where conversations.ad_id is not null
),

answered as (
    select
        talks.conversation_id,
        min(messages.sent_at) as at
    from talks
    inner join core.messages
        on talks.conversation_id = messages.conversation_id and messages.sent_at >= talks.first_at
    where messages.direction = 'outbound' and messages.sender in ('bot', 'agent')
    group by talks.conversation_id
),

deep as (
    select
        conversation_id,
        min(milestone_at) as at
    from core.milestones
    where milestone = 'deep_conversation'
    group by conversation_id
),

qualified as (
    select
        talks.conversation_id,
        min(milestones.milestone_at) as at
    from core.milestones
    inner join core.conversations as theirs on milestones.conversation_id = theirs.conversation_id
    inner join talks on theirs.customer_id = talks.customer_id
    where
        milestones.milestone = 'qualified'
        and (theirs.conversation_id = talks.conversation_id or milestones.milestone_at >= talks.opened_at)
    group by talks.conversation_id
)

insert into core.leads (
    conversation_id, customer_id, ad_id, opened_at, said_at, free_opens_at, free_ends_at, deep_at, qualified_at
)
select
    talks.conversation_id,
    talks.customer_id,
    talks.ad_id,
    talks.opened_at,
    talks.said_at,
    case when answered.at <= talks.first_at + interval '24 hours' then answered.at end as free_opens_at,
    case
        when answered.at <= talks.first_at + interval '24 hours' then answered.at + interval '72 hours'
    end as free_ends_at,
    deep.at as deep_at,
    qualified.at as qualified_at
from talks
left join answered on talks.conversation_id = answered.conversation_id
left join deep on talks.conversation_id = deep.conversation_id
left join qualified on talks.conversation_id = qualified.conversation_id
order by talks.conversation_id;

-- Whether any milestone is derived, and which.
create index milestones_derived on core.milestones (conversation_id) where is_derived;

create view facts.leads as
select
    conversation_id, customer_id, ad_id, opened_at, said_at, deep_at, qualified_at,
    free_opens_at as free_window_opens_at, free_ends_at as free_window_ends_at
from core.leads;

-- The same columns as before, from the messages.
create or replace view facts.silences as
select
    conversation_id,
    sent_at as said_at,
    lead(sent_at) over (partition by conversation_id order by sent_at) as next_said_at
from (
    select distinct conversation_id, sent_at
    from facts.messages
    where is_customer_message and conversation_id is not null
) as said;

create or replace view facts.free_windows as
select conversation_id, free_opens_at as opens_at, free_ends_at as ends_at
from core.leads
where free_opens_at is not null;

create or replace view campaign.measured_silences as
select conversation_id, sent_at as said_at
from facts.messages
where is_customer_message
union all
select erased.conversation_id, said.said_at
from campaign.erased_conversations as erased
cross join lateral unnest(erased.said_at) as said (said_at);

create or replace function campaign.is_in_service_window(
    ids text[], leaves_at timestamptz, leaves_until timestamptz
)
returns boolean
language sql stable
as $$
    select exists (
        select from core.conversations
        inner join facts.messages on messages.conversation_id = conversations.conversation_id
        where conversations.customer_id = any(ids)
            and lower(conversations.channel) = 'whatsapp'  -- a chat on the website opens no window there
            and messages.is_customer_message
            and messages.sent_at <= leaves_at
            and messages.sent_at > leaves_until - interval '24 hours'
    )
$$;

create or replace function campaign.is_charged(
    ids text[], of_category text, leaves_at timestamptz, leaves_until timestamptz
)
returns boolean
language sql stable
as $$
    select not exists (
        select from core.conversations
        inner join core.leads on leads.conversation_id = conversations.conversation_id
        where conversations.customer_id = any(ids)
            and leads.free_opens_at <= leaves_at
            and leads.free_ends_at > leaves_until
    )
    and not (
        exists (
            select from campaign.whatsapp_free as free
            where free.category = of_category and free.until > leaves_until
        )
        and campaign.is_in_service_window(ids, leaves_at, leaves_until)
    )
$$;

drop table core.silences;
drop table core.free_windows;
