/*
Whether no silences are kept yet.

owner: engineering
grain: one row
returns:
  is_empty: boolean - no customer message is known
*/
select not exists (select from core.silences) as is_empty
