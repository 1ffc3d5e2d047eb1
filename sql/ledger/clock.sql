/*
The database's clock, and the latest moment any run of this database was asked about.

owner: engineering
grain: one row
returns:
  at: timestamptz - clock of the database
  last_as_of: timestamptz nullable - the latest as_of of a completed run
*/
select
    clock_timestamp() as at,
    (select max(as_of) from campaign.runs where state = 'completed') as last_as_of
