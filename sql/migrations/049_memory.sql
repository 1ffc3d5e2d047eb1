-- What was deleted because its period is over, so that neither a message nor a source's next full export repeats it.

-- Occasions that began before this moment may have been deleted from the ledger: nobody is enrolled for one any more.
-- Null: nothing was ever deleted from it.
alter table campaign.database add column remembers_since timestamptz;

-- Facts of an entity from before this moment were deleted; a line of one that is not there brings nothing back.
create table core.aged (
    entity text primary key,
    aged_before timestamptz not null
);

-- An enrolment is deleted with everything about it. Looking for decisions under its number would need an index that
-- every decision pays for; they are found by campaign and customer.
alter table campaign.decisions drop constraint decisions_enrolment_id_fkey;
create index on campaign.outcomes (enrolment_id);

-- A keyed hash of the token's id and its address, where the address of a device at its end was deleted.
alter table core.push_tokens alter column endpoint drop not null;
alter table core.push_tokens add column endpoint_hmac text;
