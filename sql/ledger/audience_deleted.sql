/*
Whether an audience was deleted at its platform, or is about to be, and how many people must belong in it before it is
made again.

owner: engineering
grain: one row, or none
params:
  platform: text - the ad platform
  audience: text - the audience
  provider: text - who is told
returns:
  is_gone: boolean - the platform has confirmed it
  enough: bigint - how many people must belong in it
  wanted: bigint - how many do, of all campaigns that name it
*/
select
    deleted.deleted_at is not null as is_gone,
    deleted.enough,
    (
        select count(distinct members.customer_id)
        from campaign.audience_members as members
        where
            members.platform = deleted.platform
            and members.audience = deleted.audience
            and members.desired
            and members.contact_sha256 is not null
    ) as wanted
from campaign.deleted_audiences as deleted
where
    deleted.platform = cast(:platform as text)
    and deleted.audience = cast(:audience as text)
    and deleted.provider = cast(:provider as text)
