/*
The moment from which changes of facts may still be on their way: the start of the oldest open transaction.

Whatever is committed after this statement was marked at this moment or later, so a run that stores it and asks
core/cycle_changed_since with it the next time misses no load that was under way. Where the server tells nobody
when transactions began, everything may still be on its way.

owner: engineering
grain: one row
returns:
  horizon: timestamptz - changes before it are visible now
*/
select coalesce(min(xact_start), cast('2000-01-01 00:00:00+00:00' as timestamptz)) as horizon
from pg_stat_activity
where datname = current_database()
