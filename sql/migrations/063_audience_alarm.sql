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
        platform,
        audience,
        campaign,
        count(*) filter (where desired) as wanted,
        count(*) filter (where applied) as applied,
        count(*) filter (where desired and not applied and refused is null) as to_add,
        count(*) filter (where applied and not desired) as to_remove,
        count(*) filter (where requests.state = 'waiting') as in_flight,
        count(*) filter (where desired and not applied and refused is not null) as refused,
        min(desired_at) filter (where applied and not desired) as oldest_removal_at
    from campaign.audience_members
    left join campaign.audience_requests as requests using (request_id)
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
