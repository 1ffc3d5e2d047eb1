-- Whoever is still to leave an audience is counted and has an age until the platform has said that they are out: also the
-- contact from before of somebody who belongs in under a new one, and who was told to leave and is not known to have left.

create or replace view evaluation.audiences as
select
    members.platform,
    members.audience,
    members.campaign,
    members.wanted,
    members.applied,
    members.to_add,
    members.to_remove,
    members.in_flight,
    members.refused,
    members.oldest_removal_at,
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
    deleted.enough,
    members.leaving
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
        min(told.desired_at) filter (where told.is_leaving or still.is_told) as oldest_removal_at,
        count(*) filter (where still.is_told) as leaving
    from campaign.audience_members as told
    left join campaign.audience_requests as requests on requests.request_id = told.request_id
    cross join lateral (
        select
            not told.desired and not told.applied and requests.state = 'waiting' and requests.verb = 'remove'
                as is_told
    ) as still
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

create or replace view evaluation.refused_members as
select
    platform,
    audience,
    campaign,
    case when applied then 'remove' else 'add' end as verb, -- a new contact waits until the old one has left
    refused as reason,
    count(*) as people
from campaign.audience_members
where refused is not null and (desired or applied)
group by platform, audience, campaign, applied, refused;
