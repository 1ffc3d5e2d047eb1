/*
Make the place for the answers of sql/eligibility; gone at the end of the transaction.

owner: engineering
*/
create temporary table if not exists eligible (
    person_id text not null,
    channel text not null,
    viable boolean not null,
    reason text,                                        -- why not
    consent text                                        -- the accepted basis in force
) on commit drop
