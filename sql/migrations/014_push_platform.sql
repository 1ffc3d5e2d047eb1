-- What kind of device a push token is of travels with the message, since providers take apns and fcm differently.

drop function campaign.reach(text, text[], timestamptz, text, bytea, bytea);

-- Where a person can be reached: one row per channel with consent or address, suppression already looked up.
-- No address: email and phone did not parse or are missing, no active token (B4, B5, C21). A token has a platform.
create function campaign.reach(
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
        exists (
            select from core.suppressions
            where suppressions.address_hmac = campaign.keyed_hash(inner_pad, outer_pad, ways.address)
                and suppressions.channel = ways.channel
                and (
                    suppressions.scope in ('all', wanted_purpose)
                    or (suppressions.scope = 'marketing' and wanted_purpose = 'retargeting')
                )
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
