/*
Take a segment's rows as they stream in from the analyst's connection.

owner: engineering
*/
copy pg_temp.segment_rows (customer_id, anchor_at, episode, evidence) from stdin
