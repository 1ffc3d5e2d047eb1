/*
Pages of people who were to come into a campaign's audiences and may be in: there is no answer, or we died before it was
recorded.

owner: engineering
grain: one row per request
params:
  campaign: text - the campaign
  before: timestamptz - told at this moment of the decision clock or before
returns:
  request_id: bigint - the request
  platform: text - the ad platform
  audience: text - the audience
*/
select request_id, platform, audience
from campaign.audience_requests
where
    campaign = cast(:campaign as text)
    and state = 'waiting'
    and external_id is null
    and verb = 'add'
    and told_at <= cast(:before as timestamptz)
order by request_id
