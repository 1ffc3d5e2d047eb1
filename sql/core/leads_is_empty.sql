/*
Whether no leads are kept yet.

owner: engineering
grain: one row
returns:
  is_empty: boolean - no customer of an ad is known to have written
*/
select not exists (select from core.leads) as is_empty
