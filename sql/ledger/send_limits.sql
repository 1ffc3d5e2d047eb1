/*
Bound this transaction: the ledger never waits long for a lock and never runs long. (A worker that hangs in the middle
loses its session, as everywhere: tasks/store/engine.py.)

Its rows are found by their keys and are in memory, since they were planned or claimed lately; so a look-up costs about
what reading on costs, and no claim reads a table from end to end because it seems small. For the same reason the plans
its statements keep are made without knowing the values: whatever these are, it is one look-up per row.

owner: engineering
grain: one row
returns:
  lock_timeout: text - in force until the transaction ends
  statement_timeout: text - in force until the transaction ends
  look_up_cost: text - in force until the transaction ends
  plans: text - in force until the transaction ends
*/
select
    set_config('lock_timeout', '10s', true) as lock_timeout,
    set_config('statement_timeout', '60s', true) as statement_timeout,
    set_config('random_page_cost', '1.1', true) as look_up_cost,
    set_config('plan_cache_mode', 'force_generic_plan', true) as plans
