/*
Mark who belongs into an audience and cannot be told as wanted without a contact, with the reason: who is in by one that
they had leaves, and they come in once they can be told.

Reads the temporary table audience_untold.

owner: engineering
grain: one row per reason that is new for anybody
params:
  platform: text - the ad platform
  audience: text - the audience
  campaign: text - the campaign
  as_of: timestamptz - decision clock
  may_add: boolean - also who was not wanted before
returns:
  reason: text - why
  people: bigint - how many
*/
with changed as (
    update campaign.audience_members as members
    set
        desired = true,
        reason = untold.reason,
        desired_at = case
            when members.desired and members.contact_sha256 is null then members.desired_at
            else cast(:as_of as timestamptz)
        end,
        contact_sha256 = null,
        refused = null
    from audience_untold as untold
    where
        members.platform = cast(:platform as text)
        and members.audience = cast(:audience as text)
        and members.campaign = cast(:campaign as text)
        and members.customer_id = untold.person_id
        and (members.desired or cast(:may_add as boolean))
        and (
            not members.desired
            or members.contact_sha256 is not null
            or members.reason is distinct from untold.reason
        )
    returning members.reason
),

joined as (
    insert into campaign.audience_members (
        platform, audience, campaign, customer_id, desired, reason, desired_at
    )
    select
        cast(:platform as text), cast(:audience as text), cast(:campaign as text), untold.person_id, true,
        untold.reason, cast(:as_of as timestamptz)
    from audience_untold as untold
    where
        cast(:may_add as boolean)
        and not exists (
            select from campaign.audience_members as known
            where
                known.platform = cast(:platform as text)
                and known.audience = cast(:audience as text)
                and known.campaign = cast(:campaign as text)
                and known.customer_id = untold.person_id
        )
    order by untold.person_id
    returning reason
)

select reason, count(*) as people
from (
    select reason from changed
    union all
    select reason from joined
) as told
group by reason
order by reason
