-- What a sync of ad audiences looks at again: people of whom something has changed, and episodes that began or ended,
-- since the sync before. Everybody is looked at when the campaign's rules have changed, and once a week.

-- When somebody's consents, what stands in their way, or their contact changed, whoever wrote it: a withdrawal that was
-- written and not noted would keep them in. Rows are only added, so no two transactions wait for each other over them.
create table core.ways_changed (
    customer_id text not null,
    changed_at timestamptz not null default clock_timestamp()
);
create index on core.ways_changed (changed_at);

-- When that was not noted person by person: everybody is looked at once more.
create table core.ways_filled (
    filled_at timestamptz not null default clock_timestamp()
);

create function core.note_ways() returns trigger language plpgsql as $$
begin
    if (select count(*) from (select from noted limit 50000) as first_ones) = 50000 then
        insert into core.ways_filled default values;
    else
        insert into core.ways_changed (customer_id)
        select distinct customer_id from noted where customer_id is not null;
    end if;
    return null;
end
$$;

create trigger ways_inserted after insert on core.consents
referencing new table as noted for each statement execute function core.note_ways();
create trigger ways_updated after update on core.consents
referencing new table as noted for each statement execute function core.note_ways();
create trigger ways_left after update on core.consents
referencing old table as noted for each statement execute function core.note_ways();
create trigger ways_deleted after delete on core.consents
referencing old table as noted for each statement execute function core.note_ways();

create trigger ways_inserted after insert on core.consent_blocks
referencing new table as noted for each statement execute function core.note_ways();
create trigger ways_updated after update on core.consent_blocks
referencing new table as noted for each statement execute function core.note_ways();
create trigger ways_left after update on core.consent_blocks
referencing old table as noted for each statement execute function core.note_ways();
create trigger ways_deleted after delete on core.consent_blocks
referencing old table as noted for each statement execute function core.note_ways();

create trigger ways_inserted after insert on campaign.reply_holds
referencing new table as noted for each statement execute function core.note_ways();
create trigger ways_updated after update on campaign.reply_holds
referencing new table as noted for each statement execute function core.note_ways();
create trigger ways_left after update on campaign.reply_holds
referencing old table as noted for each statement execute function core.note_ways();
create trigger ways_deleted after delete on campaign.reply_holds
referencing old table as noted for each statement execute function core.note_ways();

-- Who has one id more or less, also when it goes to somebody else: the load notes that id, and who it is now.
create trigger ways_inserted after insert on core.aliases
referencing new table as noted for each statement execute function core.note_ways();
create trigger ways_updated after update on core.aliases
referencing new table as noted for each statement execute function core.note_ways();
create trigger ways_left after update on core.aliases
referencing old table as noted for each statement execute function core.note_ways();
create trigger ways_deleted after delete on core.aliases
referencing old table as noted for each statement execute function core.note_ways();

-- Of customers only what an ad platform knows them by, and whose law lets implied consents end; whoever comes new is
-- noted when their contact is derived.
create function core.note_contacts() returns trigger language plpgsql as $$
begin
    if (
        select count(*)
        from (
            select
            from former
            inner join latter on latter.customer_id = former.customer_id
            where
                (former.email_canonical, former.phone_e164, former.country, former.legal_areas, former.phone_country)
                is distinct from (
                    latter.email_canonical, latter.phone_e164, latter.country, latter.legal_areas, latter.phone_country
                )
            limit 50000
        ) as first_ones
    ) = 50000 then
        insert into core.ways_filled default values;
    else
        insert into core.ways_changed (customer_id)
        select latter.customer_id
        from former
        inner join latter on latter.customer_id = former.customer_id
        where
            (former.email_canonical, former.phone_e164, former.country, former.legal_areas, former.phone_country)
            is distinct from (
                latter.email_canonical, latter.phone_e164, latter.country, latter.legal_areas, latter.phone_country
            );
    end if;
    return null;
end
$$;

create trigger ways_updated after update on core.customers
referencing old table as former new table as latter for each statement execute function core.note_contacts();

-- An address that an ad platform must not be told is known by its hash only, and whose it is by looking at everybody.
create function core.note_suppressions() returns trigger language plpgsql as $$
begin
    if exists (select from noted where channel in ('google', 'meta', 'tiktok')) then
        insert into core.ways_filled default values;
    end if;
    return null;
end
$$;

create trigger ways_inserted after insert on core.suppressions
referencing new table as noted for each statement execute function core.note_suppressions();
create trigger ways_updated after update on core.suppressions
referencing new table as noted for each statement execute function core.note_suppressions();
create trigger ways_deleted after delete on core.suppressions
referencing old table as noted for each statement execute function core.note_suppressions();

-- How far the last sync of a campaign looked.
create table campaign.audience_looks (
    campaign text not null,
    adds boolean not null,                              -- who is new was looked for too, not only who leaves
    rules_sha256 text not null,                         -- what decides, in the campaign and in the law
    run_id bigint not null,
    as_of timestamptz not null,                         -- decision clock
    seen_at timestamptz not null,                       -- what changed before this was seen
    full_at timestamptz not null,                       -- when everybody was looked at, of the decision clock
    primary key (campaign, adds)
);

-- Audiences that a campaign fills or once filled.
create table campaign.audience_uses (
    campaign text not null,
    platform text not null,
    audience text not null,
    primary key (campaign, platform, audience)
);
insert into campaign.audience_uses (campaign, platform, audience)
select distinct campaign, platform, audience
from campaign.audience_members;

-- Consents that end, or begin to count, by themselves.
create index consents_ending on core.consents (expires_at)
where expires_at is not null and channel in ('google', 'meta', 'tiktok');
create index consents_beginning on core.consents (least(occurred_at, known_at))
where channel in ('google', 'meta', 'tiktok');

create index enrolments_closed on campaign.enrolments (campaign, closed_at) where closed_at is not null;
