/*
How many people the outbox has in an audience.

owner: engineering
grain: one row
params:
  platform: text - the platform it stands for
  audience: text - the audience
returns:
  people: bigint - how many
*/
select count(*) as people
from outbox.audience_members
where platform = cast(:platform as text) and audience = cast(:audience as text)
