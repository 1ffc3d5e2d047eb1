/*
Give this transaction room to join a whole campaign in memory.

owner: engineering
grain: one row
returns:
  work_mem: text - in force until the transaction ends
*/
select set_config('work_mem', '64MB', true) as work_mem
