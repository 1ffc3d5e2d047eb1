-- A removal is open until the platform has confirmed it, and an old contact of somebody who stays is one too.

create or replace view evaluation.audiences as
select
    members.*,
    sizes.measured_on,
    sizes.least,
    sizes.most,
    sizes.match_rate,
    sizes.is_usable,
    coalesce(sizes.words, '') as size_words,
    troubles.words as trouble,
    troubles.since as trouble_since,
    deleted.begun_at as deletion_begun_at,
    deleted.deleted_at,
    deleted.enough
from (
    select
        told.platform,
        told.audience,
        told.campaign,
        count(*) filter (where told.desired) as wanted,
        count(*) filter (where told.applied) as applied,
        count(*) filter (where told.desired and not told.applied and told.refused is null) as to_add,
        count(*) filter (where told.is_leaving) as to_remove,
        count(*) filter (where requests.state = 'waiting') as in_flight,
        count(*) filter (where told.desired and not told.applied and told.refused is not null) as refused,
        min(told.desired_at) filter (
            where told.is_leaving or (not told.desired and requests.state = 'waiting' and requests.verb = 'remove')
        ) as oldest_removal_at
    from campaign.audience_members as told
    left join campaign.audience_requests as requests on requests.request_id = told.request_id
    group by told.platform, told.audience, told.campaign
) as members
left join campaign.audience_troubles as troubles
    on troubles.platform = members.platform
    and troubles.audience = members.audience
    and troubles.campaign = members.campaign
left join campaign.deleted_audiences as deleted
    on deleted.platform = members.platform
    and deleted.audience = members.audience
left join lateral (
    select newest.*
    from campaign.audience_sizes as newest
    where newest.platform = members.platform and newest.audience = members.audience
    order by newest.measured_on desc
    limit 1
) as sizes on true;
