-- Clocks of sources may be five minutes ahead, so a consent can be dated after the moment it was known. It cannot have
-- been given after that, and a withdrawal that comes in between is the later word.

-- The logical time of the load that brought it, where the consent is dated after that; else null.
alter table core.consents add column known_at timestamptz;

create or replace function campaign.grants_in_force(ids text[], at timestamptz, wanted_purpose text)
returns table (channel text, basis text, consent_id text, occurred_at timestamptz)
language sql stable
as $$
    select history.channel, history.basis, history.consent_id, history.occurred_at
    from (
        select
            dated.channel, dated.status, dated.basis, dated.occurred_at, dated.expires_at, dated.consent_id,
            max(dated.occurred_at) filter (where dated.status = 'withdrawn')
                over (partition by dated.channel) as withdrawn_at
        from (
            select
                consents.channel, consents.status, consents.basis, consents.expires_at, consents.consent_id,
                least(consents.occurred_at, consents.known_at) as occurred_at
            from core.consents
            where consents.customer_id = any(ids) and consents.purpose = wanted_purpose
        ) as dated
        where dated.occurred_at <= at
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

create or replace function campaign.is_suppressed(
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
                        and least(consents.occurred_at, consents.known_at) > suppressions.suppressed_at
                        and least(consents.occurred_at, consents.known_at) <= at
                )
            )
    )
$$;

create or replace view facts.consents as
select
    consent_id, customer_id, channel, purpose, status, basis, ad_user_data, ad_personalization,
    least(occurred_at, known_at) as occurred_at, expires_at
from core.consents;
