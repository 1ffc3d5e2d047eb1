/*
Empty the staged answer, when a transaction stages more than one.

owner: engineering
*/
truncate pg_temp.segment_rows
