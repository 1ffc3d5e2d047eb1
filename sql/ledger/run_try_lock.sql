/*
Take the lock of a flow and campaign on this connection; it is let go when the connection ends, however it ends.

owner: engineering
params:
  lock: text - what is locked
returns:
  taken: boolean - false when another connection holds it
*/
select pg_try_advisory_lock(hashtextextended('reengage/' || cast(:lock as text), 0)) as taken
