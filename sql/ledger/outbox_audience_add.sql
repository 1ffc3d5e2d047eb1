/*
What the outbox platform does when it is told to add people: a person is in once, however often it is told.

owner: engineering
params:
  platform: text - the platform it stands for
  audience: text - the audience
  identities: text[] - hashed identities
*/
insert into outbox.audience_members (platform, audience, person_sha256)
select distinct cast(:platform as text), cast(:audience as text), identity
from unnest(cast(:identities as text[])) as identity
on conflict do nothing
