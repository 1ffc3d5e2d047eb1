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
        platform,
        audience,
        campaign,
        count(*) filter (where desired) as wanted,
        count(*) filter (where applied) as applied,
        count(*) filter (where desired and not applied and refused is null) as to_add,
        count(*) filter (where must_leave) as to_remove,
        count(*) filter (where request_id is not null) as in_flight,
        count(*) filter (where desired and not applied and refused is not null) as refused,
        min(desired_at) filter (where must_leave or is_leaving) as oldest_removal_at,
        count(*) filter (where is_leaving) as leaving
    from campaign.audience_members
    cross join lateral (
        select
            applied and is_pending as must_leave, -- not wanted, or wanted under another contact
            not desired
            and not applied
            and request_id in (
                select requests.request_id
                from campaign.audience_requests as requests
                where requests.state = 'waiting' and requests.verb = 'remove'
            ) as is_leaving
    ) as judged
    group by platform, audience, campaign
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
