/*
The database's mode, locked so that two first commands cannot decide differently.

owner: engineering
grain: one row
returns:
  mode: text nullable - live or simulated
*/
select mode
from campaign.database
for update
