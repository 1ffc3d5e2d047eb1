-- Messages that tell whom they are from instead of which conversation they belong to: webhooks of WhatsApp. Their
-- conversations are made of them (core/threads_*.sql), so nothing hangs on the order in which they come.

alter table raw.messages
    add column bot_node text,
    add column writer_id text,
    add column wa_id text,
    add column phone text,
    add column account text,
    add column group_id text,
    add column referral text,
    add column ad_id text,
    add column about_id text;

alter table core.messages
    alter column conversation_id drop not null,   -- of a group, or ours before anybody has written
    add column bot_node text,                     -- the step of a bot that the message answers
    add column keywords text[] not null default '{}',  -- groups of sources.yaml that the text has a word of
    add column writer_id text,                    -- the person: business-scoped user id, else wa_id
    add column wa_id text,
    add column account text,                      -- our number
    add column group_id text,
    add column referral text,                     -- ad or post that the message was written from
    add column ad_id text,
    add column about_id text;                     -- the message that an edit, a revocation or a reaction is about
create index messages_of_writer on core.messages (writer_id) where writer_id is not null;
create index messages_about on core.messages (about_id) where kind in ('edit', 'revoke');

-- Everybody who wrote, by the id that WhatsApp knows them by, and who that is.
create table core.writers (
    writer_id text primary key,
    customer_id text not null
);
create index on core.writers (customer_id);

-- Numbers that came with an id; somebody without a business-scoped id has their number as both.
create table core.writer_numbers (
    writer_id text not null,
    wa_id text not null,
    phone text not null,                          -- E.164
    last_at timestamptz not null,
    primary key (writer_id, wa_id)
);
create index on core.writer_numbers (wa_id);
create index on core.writer_numbers (phone);

-- Made of messages; a file that brings a conversation of the same id says more.
alter table core.conversations add column is_derived boolean not null default false;
create index conversations_derived on core.conversations (customer_id) where is_derived;

-- Messages that the receiver has taken in and no load has brought in yet: minutes at most.
create table raw.received_messages (
    received_id bigint generated always as identity primary key,
    writer_id text,
    wa_id text,
    raw text not null,
    fields jsonb not null,
    received_at timestamptz not null default clock_timestamp()
);

comment on column core.messages.wa_id is 'sensitive: address';
comment on column core.writer_numbers.wa_id is 'sensitive: address';
comment on column core.writer_numbers.phone is 'sensitive: address';
comment on column raw.received_messages.raw is 'sensitive: source line';
comment on column raw.received_messages.fields is 'sensitive: source line';

-- What moves the clock of somebody's silence and counts as something said is is_customer_message.
create or replace view facts.messages as
select
    message_id, conversation_id, direction, sender, sent_at, kind,
    keywords, bot_node, account, ad_id,
    direction = 'inbound' and sender = 'customer' and group_id is null
    and (kind is null or kind not in ('edit', 'revoke', 'system')) as is_customer_message
from core.messages;
