/*
Note that everybody's purchases or events were written at once.

owner: engineering
grain: one row
*/
insert into core.people_filled default values
