/*
Requests to an audience whose platform has not said yet what became of them, and may know by now.

owner: engineering
grain: one row per request
params:
  platform: text - the ad platform
  audience: text - the audience
  before: timestamptz - asked about, or told, before this moment of the decision clock
returns:
  request_id: bigint - the request
  external_id: text - the platform's number
  verb: text - add, remove or replace
  told_at: timestamptz - when it was told
*/
select request_id, external_id, verb, told_at
from campaign.audience_requests
where
    platform = cast(:platform as text)
    and audience = cast(:audience as text)
    and state = 'waiting'
    and external_id is not null
    and coalesce(asked_at, told_at) <= cast(:before as timestamptz)
order by request_id
