-- Audiences on real ad platforms: by which number each is known there, what was asked and is not answered yet, what the
-- platform refused, and how large it says the audience is.

-- What a platform calls an audience, found or made once.
create table campaign.audiences (
    platform text not null,
    audience text not null,
    provider text not null,                             -- who was told: the platform, or the outbox in its place
    external_id text not null,
    found_at timestamptz not null default clock_timestamp(),
    -- An answer was lost or said that some were not taken, not who: where the platform can, it is told all of it again.
    is_doubtful boolean not null default false,
    primary key (platform, audience)
);

-- What keeps a campaign from telling an audience anything, in the platform's own words; gone once it works again.
create table campaign.audience_troubles (
    platform text not null,
    audience text not null,
    campaign text not null,
    words text not null,
    since timestamptz not null,                         -- decision clock
    primary key (platform, audience, campaign)
);

-- Each page that was told. Some platforms say later what became of it.
create table campaign.audience_requests (
    request_id bigint generated always as identity primary key,
    platform text not null,
    audience text not null,
    campaign text not null,
    verb text not null check (verb in ('add', 'remove', 'replace')),
    people integer not null,
    told_at timestamptz not null,                       -- decision clock
    external_id text,                                   -- the platform's number; null: it said all there is to say
    state text not null check (state in ('waiting', 'done', 'partial', 'failed')),
    asked_at timestamptz,
    received bigint,
    matched bigint,
    words text not null default ''
);
create index audience_requests_waiting on campaign.audience_requests (platform, audience) where state = 'waiting';
create index on campaign.audience_requests (told_at);

-- What the platform says of an audience, once a day.
create table campaign.audience_sizes (
    platform text not null,
    audience text not null,
    measured_on date not null,                          -- UTC, of the decision clock
    least bigint,                                       -- people it found, where it rounds: between these; null: not yet
    most bigint,
    match_rate double precision,                        -- of those it was given
    is_usable boolean,                                  -- whether ads can be shown to it
    words text not null default '',
    primary key (platform, audience, measured_on)
);

alter table campaign.audience_members
    add column identifiers jsonb,                       -- what the platform knows the person by, hashed; null = not in
    add column refused text,                            -- why the platform cannot take or let go of this contact
    add column request_id bigint,                       -- the request about the person that is not answered yet
    add column told_in bigint,                          -- the last request that told the whole audience, if it had them
    add column told_identifiers jsonb;                  -- and by what
-- The outbox is all that was told before, and knows people by one hash of whatever kind.
update campaign.audience_members set identifiers = jsonb_build_object('email', identity) where identity is not null;
drop index campaign.audience_pending;
alter table campaign.audience_members drop column identity;
create index audience_pending on campaign.audience_members (campaign, platform, audience)
where (desired <> applied or contact_sha256 is distinct from applied_contact_sha256)
    and not (desired and not applied and refused is not null);
create index audience_in_flight on campaign.audience_members (request_id) where request_id is not null;

comment on column campaign.audience_members.identifiers is 'sensitive: address';
comment on column campaign.audience_members.told_identifiers is 'sensitive: address';

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
    troubles.since as trouble_since
from (
    select
        platform,
        audience,
        campaign,
        count(*) filter (where desired) as wanted,
        count(*) filter (where applied) as applied,
        count(*) filter (where desired and not applied and refused is null) as to_add,
        count(*) filter (where applied and not desired) as to_remove,
        count(*) filter (where request_id is not null) as in_flight,
        count(*) filter (where desired and not applied and refused is not null) as refused,
        min(desired_at) filter (where applied and not desired) as oldest_removal_at
    from campaign.audience_members
    group by platform, audience, campaign
) as members
left join campaign.audience_troubles as troubles
    on troubles.platform = members.platform
    and troubles.audience = members.audience
    and troubles.campaign = members.campaign
left join lateral (
    select newest.*
    from campaign.audience_sizes as newest
    where newest.platform = members.platform and newest.audience = members.audience
    order by newest.measured_on desc
    limit 1
) as sizes on true;

create view evaluation.refused_members as
select platform, audience, campaign, case when desired then 'add' else 'remove' end as verb, refused as reason,
    count(*) as people
from campaign.audience_members
where refused is not null
group by platform, audience, campaign, desired, refused;

create view evaluation.audience_sizes as
select platform, audience, measured_on, least, most, match_rate, is_usable, words
from campaign.audience_sizes;
