/*
What segments may not see, or see for a reason, as it is in force.

owner: engineering
grain: one row per column
returns:
  column_name: text unique - entity and column
  keys: text[] - keys in it; none: the whole column
  shown_because: text nullable - why it is shown all the same
  recorded_at: timestamptz - since when
*/
select column_name, keys, shown_because, recorded_at
from campaign.sensitive_columns
where ended_at is null
order by column_name
