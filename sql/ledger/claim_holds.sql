/*
How many rows of these keys this worker still owns: asked right before the call, so that a worker that slept past its
lease does not call.

owner: engineering
grain: one row
params:
  send_keys: text[] - rows about to be handed over
  token: uuid - fencing token of the claim
returns:
  owned: bigint - rows still in flight under this token with time left
*/
select count(*) as owned
from campaign.sends
where
    send_key = any(cast(:send_keys as text[]))
    and state = 'in_flight'
    and claim_token = cast(:token as uuid)
    and lease_until > clock_timestamp()
