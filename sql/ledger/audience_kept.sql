/*
An audience was certainly not deleted at its platform: it goes on as it was.

owner: engineering
params:
  platform: text - the ad platform
  audience: text - the audience
*/
delete from campaign.deleted_audiences
where platform = cast(:platform as text) and audience = cast(:audience as text) and deleted_at is null
