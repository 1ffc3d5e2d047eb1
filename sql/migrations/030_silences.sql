-- Conversations as retargeting asks about them: since when a customer is silent, and when writing to them is free.

-- One row per conversation and moment of a customer message, with the moment of the next one: the row in force at
-- as_of is the one said by then whose next message is null or later (R13). What bots and agents write is no row here.
create table core.silences (
    conversation_id text not null,
    said_at timestamptz not null,
    next_said_at timestamptz,             -- null: silent since said_at
    primary key (conversation_id, said_at)
);
-- A conversation has a handful of messages; a sample would make fewer and larger ones of them.
alter table core.silences alter column conversation_id set (n_distinct = -0.2);
-- Who is silent now, by since when.
create index silences_open on core.silences (said_at) where next_said_at is null;
-- Who was silent at a past moment: most messages follow each other within minutes and are not in it.
create index silences_lasting on core.silences (said_at, next_said_at)
where next_said_at - said_at >= interval '5 minutes';

-- The free entry window of a conversation that an ad began (A2): it opens with the business's first answer, when that
-- comes within 24 hours of the customer's first message, and ends 72 hours later. No row: no window.
create table core.free_windows (
    conversation_id text primary key,
    opens_at timestamptz not null,
    ends_at timestamptz not null
);

-- Whose conversations last changed when, so that choosing can look at these people again.
create table core.silences_changed (
    customer_id text primary key,
    changed_at timestamptz not null default clock_timestamp()
);
create index on core.silences_changed (changed_at);

-- When everybody's silences were written at once, which is not noted person by person.
create table core.silences_filled (
    filled_at timestamptz not null default clock_timestamp()
);

-- A campaign names its ads, and a segment asks for their conversations.
create index on core.conversations (ad_id) where ad_id is not null;

create view facts.silences as
select conversation_id, said_at, next_said_at
from core.silences;

create view facts.free_windows as
select conversation_id, opens_at, ends_at
from core.free_windows;

-- What is there already, as core/silences_fill and core/free_windows_fill write it.
insert into core.silences (conversation_id, said_at, next_said_at)
select
    conversation_id,
    sent_at,
    lead(sent_at) over (partition by conversation_id order by sent_at)
from (
    select distinct
        conversation_id,
        sent_at
    from facts.messages
    where is_customer_message and conversation_id is not null
) as said
order by conversation_id, sent_at;

with clicked as (
    select
        conversations.conversation_id,
        min(silences.said_at) as at
    from core.conversations
    inner join core.silences on conversations.conversation_id = silences.conversation_id
    where conversations.ad_id is not null
    group by conversations.conversation_id
),

answered as (
    select
        clicked.conversation_id,
        clicked.at,
        min(messages.sent_at) as opens_at
    from clicked
    inner join core.messages
        on clicked.conversation_id = messages.conversation_id and messages.sent_at >= clicked.at
    where messages.direction = 'outbound' and messages.sender in ('bot', 'agent')
    group by clicked.conversation_id, clicked.at
)

insert into core.free_windows (conversation_id, opens_at, ends_at)
select
    conversation_id,
    opens_at,
    opens_at + interval '72 hours'
from answered
where opens_at <= at + interval '24 hours'
order by conversation_id;

insert into core.silences_filled (filled_at)
select clock_timestamp()
where exists (select from core.silences);
