/*
Where a page of an audience that was told waits to be recorded: of each member their customer_id, identifiers (null
where none are to be kept), contact_sha256 and refused (why not, or null), in this order, and of who was to leave
whether nothing was told since another campaign wants them. Writing typed columns takes longer than taking these apart.

owner: engineering
grain: nothing
*/
create temporary table audience_told (
    member jsonb not null
) on commit drop
