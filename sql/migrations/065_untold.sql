-- Whoever belongs into an audience and cannot be told is counted with the reason, what a platform knows people by includes
-- their names, and a customer who shares an address with somebody who has to be out is looked at when that changes.

-- What a contact is as one ad platform knows it: a new one is a new member of the same person. Names count where the
-- platform is told them (tasks/platforms/identity.py).
create function campaign.contact_sha256(
    platform text, email text, phone text, first_name text, last_name text, country text
) returns text language sql stable parallel safe as $$
    select encode(
        sha256(
            convert_to(
                coalesce(email, '') || '|' || coalesce(phone, '')
                || case
                    when platform = 'meta'
                        then
                            '|' || lower(coalesce(first_name, '')) || chr(31) || lower(coalesce(last_name, ''))
                            || chr(31) || lower(coalesce(country, ''))
                    else ''
                end, 'UTF8'
            )
        ), 'hex'
    )
$$;

-- Nobody is told anew because of that: who is in under the contact of today is in under the name of today.
update campaign.audience_members as members
set
    contact_sha256 = case when members.contact_sha256 = known.former then known.latter else members.contact_sha256 end,
    applied_contact_sha256 = case
        when members.applied_contact_sha256 = known.former then known.latter else members.applied_contact_sha256
    end
from (
    select
        customer_id,
        campaign.contact_sha256('', email_canonical, phone_e164, null, null, null) as former,
        campaign.contact_sha256('meta', email_canonical, phone_e164, first_name, last_name, country) as latter
    from core.customers
) as known
where
    members.platform = 'meta'
    and members.customer_id = known.customer_id
    and known.former in (members.contact_sha256, members.applied_contact_sha256);

-- Who is wanted without a contact that can be told has no contact_sha256, and `reason` says why; they are out, or leave by
-- the contact that the platform has.
drop index campaign.audience_pending;
alter table campaign.audience_members drop column is_pending;
alter table campaign.audience_members
    add column is_pending boolean not null generated always as (
        case
            when applied
                then
                    not desired
                    or contact_sha256 is distinct from applied_contact_sha256
                    or (is_unsure and request_id is null)
            else desired and contact_sha256 is not null and refused is null
        end
    ) stored,
    -- for views, which show no hash of a contact
    add column has_contact boolean not null generated always as (contact_sha256 is not null) stored;
create index audience_pending on campaign.audience_members (campaign, platform, audience, customer_id)
where is_pending;

-- Of customers whatever an ad platform knows them by, why it cannot, and whose law lets implied consents end; and whoever
-- has the address that somebody had before.
create or replace function core.note_contacts() returns trigger language plpgsql as $$
begin
    if (
        select count(*)
        from (
            select
            from former
            inner join latter on latter.customer_id = former.customer_id
            where
                (
                    former.email_canonical, former.phone_e164, former.country, former.legal_areas,
                    former.phone_country, former.first_name, former.last_name, former.email_reason,
                    former.phone_reason
                )
                is distinct from (
                    latter.email_canonical, latter.phone_e164, latter.country, latter.legal_areas,
                    latter.phone_country, latter.first_name, latter.last_name, latter.email_reason,
                    latter.phone_reason
                )
            limit 50000
        ) as first_ones
    ) = 50000 then
        insert into core.ways_filled default values;
    else
        with changed as materialized (
            select
                latter.customer_id,
                case when former.email_canonical <> coalesce(latter.email_canonical, '') then former.email_canonical end
                    as email,
                case when former.phone_e164 <> coalesce(latter.phone_e164, '') then former.phone_e164 end as phone
            from former
            inner join latter on latter.customer_id = former.customer_id
            where
                (
                    former.email_canonical, former.phone_e164, former.country, former.legal_areas,
                    former.phone_country, former.first_name, former.last_name, former.email_reason,
                    former.phone_reason
                )
                is distinct from (
                    latter.email_canonical, latter.phone_e164, latter.country, latter.legal_areas,
                    latter.phone_country, latter.first_name, latter.last_name, latter.email_reason,
                    latter.phone_reason
                )
        )

        insert into core.ways_changed (customer_id)
        select customer_id from changed
        union
        select customers.customer_id
        from changed
        inner join core.customers on customers.email_canonical = changed.email
        union
        select customers.customer_id
        from changed
        inner join core.customers on customers.phone_e164 = changed.phone;
    end if;
    return null;
end
$$;

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
        count(*) filter (
            where told.desired and not told.applied and told.refused is null and told.has_contact
        ) as to_add,
        count(*) filter (where told.is_leaving) as to_remove,
        count(*) filter (where requests.state = 'waiting') as in_flight,
        count(*) filter (
            where told.desired and not told.applied and (told.refused is not null or not told.has_contact)
        ) as refused,
        min(told.desired_at) filter (where told.is_leaving or still.is_told) as oldest_removal_at,
        count(*) filter (where still.is_told) as leaving
    from campaign.audience_members as told
    left join campaign.audience_requests as requests on requests.request_id = told.request_id
    cross join lateral (
        select
            not told.applied and (not told.desired or not told.has_contact)
            and requests.state = 'waiting' and requests.verb = 'remove' as is_told
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
    told.platform,
    told.audience,
    told.campaign,
    case when told.applied then 'remove' else 'add' end as verb, -- a new contact waits until the old one has left
    told.why as reason,
    count(*) as people
from (
    select
        platform,
        audience,
        campaign,
        applied,
        case when desired and not applied and not has_contact then reason else refused end as why
    from campaign.audience_members
    where desired or applied
) as told
where told.why is not null
group by told.platform, told.audience, told.campaign, told.applied, told.why;

-- Whoever lacks a contact, or shares one, is found by looking at everybody once.
insert into core.ways_filled default values;
