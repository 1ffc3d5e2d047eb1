/*
Take the right to measure until the end of the transaction; false when another process has it.

owner: engineering
grain: one row
returns:
  taken: boolean - whether this transaction may measure
*/
select pg_try_advisory_xact_lock(hashtextextended('reengage/evaluate', 0)) as taken
