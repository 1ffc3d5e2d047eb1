/*
Make the place where one segment's answer waits until it is enrolled; gone at the end of the transaction.

owner: engineering
*/
create temporary table if not exists segment_rows (
    customer_id text,
    anchor_at timestamptz,
    episode text,
    evidence jsonb not null
) on commit drop
