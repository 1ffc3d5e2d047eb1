/*
Where the keyword groups of a load's messages are collected.

owner: engineering
grain: nothing
*/
create temporary table found_keywords (line_no bigint not null, keywords text[] not null) on commit drop
