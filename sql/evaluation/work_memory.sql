/*
Give the sorts of this transaction room: they are few and large.

owner: engineering
grain: one row
returns:
  setting: text - the memory in force
*/
select set_config('work_mem', '64MB', true) as setting
