/*
Providers that are left alone now, or were until something answers again.

owner: engineering
grain: one row per provider
returns:
  provider: text unique - who
  is_resting: boolean - it must not be called now
  rests_until: timestamptz - when it may be called again
  reason: text - asked, busy or unreached
  failures: int - rests in a row that nobody asked for
*/
select provider, rests_until > clock_timestamp() as is_resting, rests_until, reason, failures
from campaign.rests
