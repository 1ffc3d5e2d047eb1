/*
Whether this database is live or simulated; empty until the first command that chooses or sends.

owner: engineering
grain: one row
returns:
  mode: text nullable - live or simulated
*/
select mode
from campaign.database
