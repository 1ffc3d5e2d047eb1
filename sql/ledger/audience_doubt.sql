/*
Note whether who is in an audience is certain.

owner: engineering
params:
  platform: text - the ad platform
  audience: text - the audience
  is_doubtful: boolean - it is not
*/
update campaign.audiences
set is_doubtful = cast(:is_doubtful as boolean)
where platform = cast(:platform as text) and audience = cast(:audience as text)
