/*
One message of the ledger with its attempts, the consent each rested on (C23) and what the provider reported about it;
no address.

owner: engineering
grain: one row per attempt, or one row when nothing was attempted
params:
  send_key: text - the key, or its first characters
returns:
  send_key: text - the key
  campaign: text - the campaign
  customer_id: text - who
  episode: text - which occasion
  step: text - the step or sub-step
  variant: text - whose words
  channel: text - how
  provider: text - who delivers
  state: text - state of the ledger
  reason: text nullable - why
  due_at: timestamptz - when it was due
  not_before: timestamptz - when it may leave
  expires_at: timestamptz - when it is too late
  planned_at: timestamptz - when it was planned
  claimed_at: timestamptz nullable - when it was last handed over
  accepted_at: timestamptz nullable - when the provider took it
  settled_at: timestamptz nullable - when its state became final
  template_version: text - the words
  payload_sha256: text nullable - what was said, as a hash
  voucher_code: text nullable - the code shown
  provider_message_id: text nullable - the provider's number, our name of it where that holds the person's
  billable: boolean nullable - whether WhatsApp charges for it, by its own word where it said so; null: nobody knows yet
  price_category: text nullable - what it is charged by
  price_country: text nullable - country of its number, which the price goes by
  price: numeric nullable - what it costs once delivered; null: nothing, or no price is known
  currency: text nullable - ISO 4217 code of the price
  is_example_price: boolean nullable - whether the price is made up
  attempt_no: int nullable - number of the attempt
  attempt_channel: text nullable - channel of the attempt
  attempt_outcome: text nullable - what was answered
  attempt_reason: text nullable - the provider's refusal
  attempt_decided_at: timestamptz nullable - decision clock of the attempt
  attempt_consent_basis: text nullable - on what grounds we wrote, as the claim saw it
  attempt_consent_at: timestamptz nullable - when it was given
  attempt_consent_source: text nullable - where
  attempt_consent_wording: text nullable - to which words
  reports: text nullable - what the provider reported
*/
select
    sends.send_key, sends.campaign, sends.customer_id, sends.episode, sends.step, sends.variant, sends.channel,
    sends.provider, sends.state, sends.reason, sends.due_at, sends.not_before, sends.expires_at, sends.planned_at,
    sends.claimed_at, sends.accepted_at, sends.settled_at, sends.template_version, sends.payload_sha256,
    sends.voucher_code, sends.provider_message_id,
    told.billable, told.price_category, sends.price_country, price.price, price.currency,
    price.is_example as is_example_price,
    attempts.attempt_no, attempts.channel as attempt_channel, attempts.outcome as attempt_outcome,
    attempts.reason as attempt_reason, attempts.decided_at as attempt_decided_at,
    proof.basis as attempt_consent_basis, proof.occurred_at as attempt_consent_at,
    proof.source as attempt_consent_source, proof.wording as attempt_consent_wording,
    (
        select string_agg(events.kind, ', ' order by events.occurred_at, events.kind)
        from campaign.provider_events as events
        where events.attempt_id = attempts.attempt_id
    ) as reports
from campaign.sends
cross join campaign.database as place
left join campaign.message_reports as messages on messages.send_key = sends.send_key
cross join lateral (
    select
        coalesce(messages.billable, sends.billable) as billable,
        coalesce(messages.price_category, sends.price_category) as price_category
) as told
left join lateral campaign.whatsapp_price(
    sends.price_country, told.price_category,
    cast(coalesce(sends.accepted_at, sends.claimed_at) at time zone place.business_zone as date)
) as price on told.billable
left join campaign.attempts on attempts.send_key = sends.send_key
left join lateral (
    -- the version the claim saw, though another has taken its place since
    select versions.basis, versions.occurred_at, versions.source, versions.wording
    from (
        select basis, occurred_at, source, wording, load_id, 'infinity' as replaced_at
        from core.consents
        where consents.consent_id = attempts.consent_id
        union all
        select basis, occurred_at, source, wording, load_id, replaced_at
        from core.replaced_consents
        where replaced_consents.consent_id = attempts.consent_id
    ) as versions
    where attempts.consent_load_id is null or versions.load_id = attempts.consent_load_id
    order by versions.replaced_at desc
    limit 1
) as proof on true
where starts_with(sends.send_key, cast(:send_key as text))
order by sends.send_key, attempts.attempt_no
limit 200
