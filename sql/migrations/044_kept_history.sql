-- What is kept of words that are deleted after their period, and of consents that are told anew.

-- A keyed hash of the message's id and its text, where the text was deleted: by it the same line, when it comes again, is
-- known for the same and brings nothing back.
alter table core.messages add column text_hmac text;
create index messages_with_text on core.messages (sent_at) where text is not null;
create index messages_without_text on core.messages (message_id) where text_hmac is not null;

-- The history is append-only (C23): a consent that is overwritten or taken away stays here as it was, since a message may
-- rest on it. Nothing but proof reads it.
create table core.replaced_consents (
    replaced_at timestamptz not null,
    like core.consents                            -- column by column: rows are moved whole
);
create index on core.replaced_consents (consent_id);
create index on core.replaced_consents (customer_id);
comment on column core.replaced_consents.source is 'sensitive: free text';
comment on column core.replaced_consents.wording is 'sensitive: free text';

-- The load that brought the version of the consent an attempt rested on; null for attempts before this migration.
alter table campaign.attempts add column consent_load_id bigint;

-- Of two lines of one consent that contradict each other both people are held, whom the line in quarantine names and whom
-- the one that stands names.
alter table core.consent_blocks drop constraint consent_blocks_pkey;
create index on core.consent_blocks (quarantine_id);
