-- Who is about to be told to come into an audience counts as in before the platform is told, with what it will know them
-- by: whatever becomes of the answer, and whatever changes meanwhile, they can be told to leave.
--
-- Who is still to be told is a column: the planner keeps statistics of columns, and takes two thirds of a table for
-- whoever differs in one of two ways. The index gives them in the order in which pages are told.

drop index campaign.audience_pending;
alter table campaign.audience_members
    -- told to come in, and the answer was lost: they may be in, and are told again while they are wanted
    add column is_unsure boolean not null default false;
alter table campaign.audience_members
    add column is_pending boolean not null generated always as (
        (
            desired <> applied
            or contact_sha256 is distinct from applied_contact_sha256
            or (desired and is_unsure and request_id is null)
        )
        and not (desired and not applied and refused is not null)
    ) stored,
    -- in, or told to come in, and to be out: altogether, or under the contact the platform has
    add column is_leaving boolean not null generated always as (
        applied and (not desired or contact_sha256 is distinct from applied_contact_sha256)
    ) stored;
create index audience_pending on campaign.audience_members (campaign, platform, audience, customer_id)
where is_pending;

-- The campaign as it was when its audiences were looked at last: people leave by it while its file cannot be read.
alter table campaign.audience_looks add column definition jsonb;
