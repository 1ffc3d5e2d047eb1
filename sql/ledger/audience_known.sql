/*
What is known of an audience on its platform.

owner: engineering
grain: one row, or none
params:
  platform: text - the ad platform
  audience: text - the audience
returns:
  provider: text - who was told so far
  external_id: text - what the platform calls it
  is_doubtful: boolean - who is in it is not certain
  found_at: timestamptz - since when it is known there
*/
select provider, external_id, is_doubtful, found_at
from campaign.audiences
where platform = cast(:platform as text) and audience = cast(:audience as text)
