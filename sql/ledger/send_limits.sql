/*
Bound this transaction: the ledger never waits long for a lock and never runs long.

owner: engineering
grain: one row
returns:
  lock_timeout: text - in force until the transaction ends
  statement_timeout: text - in force until the transaction ends
*/
select
    set_config('lock_timeout', '10s', true) as lock_timeout,
    set_config('statement_timeout', '60s', true) as statement_timeout
