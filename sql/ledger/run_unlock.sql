/*
Let go of a flow's lock.

owner: engineering
params:
  lock: text - what is locked
returns:
  freed: boolean - false when this connection did not hold it
*/
select pg_advisory_unlock(hashtextextended('reengage/' || cast(:lock as text), 0)) as freed
