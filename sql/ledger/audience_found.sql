/*
Note what a platform calls an audience.

owner: engineering
params:
  platform: text - the ad platform
  audience: text - the audience
  provider: text - who is told: the platform, or the outbox in its place
  external_id: text - what it calls the audience
*/
insert into campaign.audiences (platform, audience, provider, external_id)
values (cast(:platform as text), cast(:audience as text), cast(:provider as text), cast(:external_id as text))
on conflict (platform, audience) do update
set provider = excluded.provider, external_id = excluded.external_id, found_at = excluded.found_at
