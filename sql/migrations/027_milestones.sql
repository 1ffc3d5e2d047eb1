-- Milestones that the source does not tell are derived by sql/milestones/conversations.sql.

alter table core.conversations
    alter column milestone drop not null,         -- null: the source does not say
    alter column milestone_at drop not null,
    add constraint milestone_has_its_moment check ((milestone is null) = (milestone_at is null));
create index conversations_untold on core.conversations (customer_id) where milestone is null;

alter table core.milestones add column is_derived boolean not null default false;

-- Conversations whose milestones are to be derived again; a change during the derivation gives another number.
create table core.conversations_changed (
    conversation_id text primary key,
    change_no bigint generated always as identity
);
create index on core.conversations_changed (change_no);

-- The rule that the derived milestones follow; another one derives all of them again.
create table core.milestone_rule (
    sha256 text primary key
);

-- Scalar subqueries, so that whoever does not ask for milestones does not pay for them.
create or replace view facts.conversations as
select
    conversation_id, customer_id, channel, account, ad_id, bot_id, opened_at,
    coalesce(
        milestone,
        (
            select reached.milestone
            from core.milestones as reached
            where reached.conversation_id = conversations.conversation_id and reached.is_derived
            order by
                array_position(array['lead', 'deep_conversation', 'qualified'], reached.milestone) desc,
                reached.milestone_at
            limit 1
        ),
        'lead'
    ) as milestone,
    coalesce(
        milestone_at,
        (
            select reached.milestone_at
            from core.milestones as reached
            where reached.conversation_id = conversations.conversation_id and reached.is_derived
            order by
                array_position(array['lead', 'deep_conversation', 'qualified'], reached.milestone) desc,
                reached.milestone_at
            limit 1
        ),
        opened_at
    ) as milestone_at,
    updated_at
from core.conversations;
