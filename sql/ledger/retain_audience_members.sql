/*
Delete what is left of stays in ad audiences that ended longer ago than the period: nobody wants the person in, and the
platform has confirmed that they are out.

owner: engineering
grain: one row
params:
  before: timestamptz - what ended before this moment goes
  at_most: int - rows of one batch
returns:
  deleted: bigint - how many
*/
with old as (
    select platform, audience, customer_id, campaign
    from campaign.audience_members
    where
        not desired
        and not applied
        and identifiers is null
        and contact_sha256 is null
        and applied_contact_sha256 is null
        and greatest(desired_at, applied_at) < cast(:before as timestamptz)
    limit cast(:at_most as int)
    for update skip locked
),

deleted as (
    delete from campaign.audience_members as members
    using old
    where
        members.platform = old.platform
        and members.audience = old.audience
        and members.customer_id = old.customer_id
        and members.campaign = old.campaign
    returning members.customer_id
)

select count(*) as deleted
from deleted
