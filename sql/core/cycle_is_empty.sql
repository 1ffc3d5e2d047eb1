/*
Whether no purchase days are kept yet.

owner: engineering
grain: one row
returns:
  is_empty: boolean - nobody has a purchase day
*/
select not exists (select from core.purchase_days) as is_empty
