/*
Make the place where everyone this run found in the segment waits; gone at the end of the transaction.

owner: engineering
*/
create temporary table if not exists chosen (
    customer_id text primary key,
    person_id text not null,                            -- the customer today
    anchor_at timestamptz not null,
    episode text not null,
    evidence jsonb not null
) on commit drop
