/*
Where a page of an audience that was told waits to be recorded.

owner: engineering
grain: nothing
*/
create temporary table audience_told (
    customer_id text not null,
    identifiers jsonb,
    contact_sha256 text,
    refused text
) on commit drop
