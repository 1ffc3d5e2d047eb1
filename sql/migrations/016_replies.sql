-- What people answer: a word that means stop is a withdrawal, words that read like a refusal hold the person until
-- somebody has read them.

-- Held is everybody who has the number, on each of the channels; gone when the reply is resolved.
create table campaign.reply_holds (
    reply_id text not null references campaign.replies on delete cascade,
    customer_id text not null,
    channel text not null,
    primary key (reply_id, customer_id, channel)
);
create index on campaign.reply_holds (customer_id);
create index replies_to_review on campaign.replies (occurred_at) where verdict = 'unclear' and resolved_at is null;

-- Loads of conversations whose messages have been read for refusals.
create table campaign.judged_loads (load_id bigint primary key);

-- Grants in force (A21): the last withdrawal ends every earlier grant, only a later express grant restores, the same
-- instant counts for the withdrawal. A quarantined consent line counts as a withdrawal, a reply that reads like a
-- refusal holds until it is resolved.
create function campaign.grants_in_force(ids text[], at timestamptz, wanted_purpose text)
returns table (channel text, basis text, consent_id text, occurred_at timestamptz)
language sql stable
as $$
    select history.channel, history.basis, history.consent_id, history.occurred_at
    from (
        select
            consents.channel, consents.status, consents.basis, consents.occurred_at, consents.expires_at,
            consents.consent_id,
            max(consents.occurred_at) filter (where consents.status = 'withdrawn')
                over (partition by consents.channel) as withdrawn_at
        from core.consents
        where consents.customer_id = any(ids)
            and consents.purpose = wanted_purpose
            and consents.occurred_at <= at
    ) as history
    where history.status = 'granted'
        and (history.expires_at is null or history.expires_at > at)
        and (
            history.withdrawn_at is null
            or (history.occurred_at > history.withdrawn_at and history.basis = 'express')
        )
        and not exists (
            select from core.consent_blocks as blocks
            where blocks.customer_id = any(ids) and (blocks.channel is null or blocks.channel = history.channel)
        )
        and not exists (
            select from campaign.reply_holds as holds
            where holds.customer_id = any(ids) and holds.channel = history.channel
        )
$$;

create or replace function campaign.consents_in_force(ids text[], at timestamptz, wanted_purpose text)
returns table (channel text, bases text[])
language sql stable
as $$
    select grants.channel, array_agg(distinct grants.basis)
    from campaign.grants_in_force(ids, at, wanted_purpose) as grants
    group by grants.channel
$$;

-- Whether an address may not be written to. Somebody's own word to stop ends with their next express grant; what a
-- provider or a carrier says about an address does not.
create function campaign.is_suppressed(
    hmac text, wanted_channel text, wanted_purpose text, ids text[], at timestamptz
)
returns boolean
language sql stable
as $$
    select exists (
        select from core.suppressions
        where suppressions.address_hmac = hmac
            and suppressions.channel = wanted_channel
            and (
                suppressions.scope in ('all', wanted_purpose)
                or (suppressions.scope = 'marketing' and wanted_purpose = 'retargeting')
            )
            and not (
                suppressions.reason = 'stop_word'
                and exists (
                    select from core.consents
                    where consents.customer_id = any(ids)
                        and consents.channel = wanted_channel
                        and consents.purpose = wanted_purpose
                        and consents.status = 'granted'
                        and consents.basis = 'express'
                        and consents.occurred_at > suppressions.suppressed_at
                        and consents.occurred_at <= at
                )
            )
    )
$$;

create or replace function campaign.reach(
    person_id text, ids text[], at timestamptz, wanted_purpose text, inner_pad bytea, outer_pad bytea
)
returns table (channel text, bases text[], address text, address_hmac text, is_suppressed boolean, platform text)
language sql stable
as $$
    with consented as materialized (
        select in_force.channel, in_force.bases
        from campaign.consents_in_force(ids, at, wanted_purpose) as in_force
    )

    select
        ways.channel,
        coalesce(consented.bases, '{}'),
        ways.address,
        campaign.keyed_hash(inner_pad, outer_pad, ways.address),
        campaign.is_suppressed(
            campaign.keyed_hash(inner_pad, outer_pad, ways.address), ways.channel, wanted_purpose, ids, at
        ),
        ways.platform
    from (
        select 'email' as channel, customers.email_canonical as address, cast(null as text) as platform
        from core.customers where customers.customer_id = person_id
        union all
        select phones.channel, customers.phone_e164, null
        from core.customers
        cross join (values ('sms'), ('whatsapp')) as phones (channel)
        where customers.customer_id = person_id
        union all
        select 'inbox', person_id, null
        union all
        select tokens.channel, newest.endpoint, newest.platform
        from (values ('push'), ('webpush')) as tokens (channel)
        left join lateral (
            select push_tokens.endpoint, push_tokens.platform
            from core.push_tokens
            where push_tokens.customer_id = any(ids)
                and push_tokens.active
                and (push_tokens.platform = 'webpush') = (tokens.channel = 'webpush')
            order by push_tokens.updated_at desc, push_tokens.token_id
            limit 1
        ) as newest on true
    ) as ways
    left join consented on consented.channel = ways.channel
$$;

-- Which consent an attempt rested on, as the claim saw it (C23).
alter table campaign.attempts add column consent_id text;
