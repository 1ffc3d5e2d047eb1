/*
Pages of people who were to come into an audience and may be in: there is no answer, or we died before it was recorded.

owner: engineering
grain: one row per request
params:
  platform: text - the ad platform
  audience: text - the audience
  campaign: text - the campaign
returns:
  request_id: bigint - the request
*/
select request_id
from campaign.audience_requests
where
    platform = cast(:platform as text)
    and audience = cast(:audience as text)
    and campaign = cast(:campaign as text)
    and state = 'waiting'
    and external_id is null
    and verb = 'add'
order by request_id
