-- Who is still to be told, as a column: the planner keeps statistics of columns, and takes two thirds of a table for
-- whoever differs in one of two ways. The index gives them in the order in which pages are told.

drop index campaign.audience_pending;
alter table campaign.audience_members
    add column is_pending boolean not null generated always as (
        (desired <> applied or contact_sha256 is distinct from applied_contact_sha256)
        and not (desired and not applied and refused is not null)
    ) stored;
create index audience_pending on campaign.audience_members (campaign, platform, audience, customer_id)
where is_pending;
