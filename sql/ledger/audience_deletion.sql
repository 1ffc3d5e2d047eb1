/*
Note that an audience is about to be deleted at its platform, unless somebody else has just done so; and how many people
must belong in it before it is made again: a fifth more than are in it now, and as many as ads need there.

owner: engineering
params:
  platform: text - the ad platform
  audience: text - the audience
  provider: text - who is told
  smallest: bigint - people that ads need there
  as_of: timestamptz - decision clock
*/
insert into campaign.deleted_audiences as known (platform, audience, provider, begun_at, enough)
select
    audiences.platform, audiences.audience, cast(:provider as text), cast(:as_of as timestamptz),
    greatest(cast(:smallest as bigint), cast(ceil(1.2 * inside.people) as bigint))
from campaign.audiences
cross join lateral (
    select count(distinct members.customer_id) as people
    from campaign.audience_members as members
    where members.platform = audiences.platform and members.audience = audiences.audience and members.applied
) as inside
where audiences.platform = cast(:platform as text) and audiences.audience = cast(:audience as text)
on conflict (platform, audience) do update
set
    provider = excluded.provider,
    begun_at = excluded.begun_at,
    deleted_at = null,
    enough = excluded.enough
