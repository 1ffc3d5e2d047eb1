/*
How much each audience of a campaign still has to be told.

owner: engineering
grain: one row per platform and audience with something to tell
params:
  campaign: text - the campaign
returns:
  platform: text - the ad platform
  audience: text - the audience
  removes: bigint - people to take out
  kept: bigint - people this campaign lets go whom another has in under the same contact and wants: nothing is told
  adds: bigint - people to put in
*/
select
    platform, audience,
    count(*) filter (where is_leaving and not is_kept) as removes,
    count(*) filter (where is_kept) as kept,
    count(*) filter (where desired and contact_sha256 is not null) as adds
from (
    select
        platform, audience, desired, contact_sha256, is_leaving,
        is_leaving
        and exists (
            select from campaign.audience_members as others
            where
                others.platform = members.platform
                and others.audience = members.audience
                and others.customer_id = members.customer_id
                and others.campaign <> members.campaign
                and others.desired
                and others.applied
                and others.applied_contact_sha256 = members.applied_contact_sha256
        ) as is_kept
    from campaign.audience_members as members
    where campaign = cast(:campaign as text) and is_pending
) as waiting
group by platform, audience
order by platform, audience
