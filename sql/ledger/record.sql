/*
Write down what the provider answered; a row that is no longer ours (its token changed) is left alone.

owner: engineering
grain: one row per recorded send
params:
  receipts: jsonb - one object per message handed over, or not handed over after all
  token: uuid - fencing token of the claim
  is_simulated: boolean - the decision clock is the one of the claim, not the database's
returns:
  send_key: text unique - the row
  state: text - its state now
  reason: text nullable - why
  channel: text - the channel that answered
  campaign: text - the campaign
  address_hmac: text nullable - address of the attempt, for refusals that end an address
*/
with

clock as materialized (
    select clock_timestamp() as at
),

receipts as materialized (
    select receipt.*
    from jsonb_to_recordset(cast(:receipts as jsonb)) as receipt (
        send_key text, attempt_id uuid, outcome text, reason text, delay_seconds double precision,
        retry_after_seconds double precision, has_another_channel boolean, is_exhausted boolean,
        provider_message_id text, status_code int, error_class text
    )
),

recorded as (
    update campaign.sends
    set
        state = case
            when receipts.outcome = 'accepted' then 'accepted'
            when receipts.outcome = 'unanswered' then 'unknown'
            when receipts.outcome = 'refused' and not receipts.has_another_channel then 'rejected'
            when receipts.outcome = 'busy' and receipts.is_exhausted then 'rejected'
            when receipts.outcome in ('busy', 'unreached') then 'retry_wait'
            else 'planned'
        end,
        reason = case receipts.outcome
            when 'accepted' then null
            when 'not_started' then null
            when 'returned' then null
            when 'refused' then coalesce(receipts.reason, 'refused')
            else coalesce(receipts.reason, receipts.outcome)
        end,
        not_before = case
            when receipts.outcome in ('busy', 'unreached')
                then case when cast(:is_simulated as boolean) then sends.claimed_at else clock.at end
                    + make_interval(secs => receipts.delay_seconds)
            else sends.not_before
        end,
        accepted_at = case
            when receipts.outcome = 'accepted'
                then case when cast(:is_simulated as boolean) then sends.claimed_at else clock.at end
        end,
        settled_at = case
            when
                receipts.outcome = 'accepted'
                or (receipts.outcome = 'refused' and not receipts.has_another_channel)
                or (receipts.outcome = 'busy' and receipts.is_exhausted)
                then case when cast(:is_simulated as boolean) then sends.claimed_at else clock.at end
        end,
        provider_message_id = receipts.provider_message_id,
        payload_sha256 = pinned.payload_sha256,
        template_version = coalesce(pinned.template_version, sends.template_version),
        claim_token = null
    from receipts
    inner join campaign.attempts as pinned on pinned.attempt_id = receipts.attempt_id
    cross join clock
    where
        sends.send_key = receipts.send_key
        and sends.claim_token = cast(:token as uuid)
        and sends.state = 'in_flight'
    returning
        sends.send_key, sends.state, sends.reason, sends.channel, sends.campaign, sends.customer_id,
        sends.voucher_code, sends.accepted_at, pinned.address_hmac
),

attempted as (
    update campaign.attempts
    set
        outcome = receipts.outcome,
        reason = receipts.reason,
        retry_after = make_interval(secs => receipts.retry_after_seconds),
        provider_message_id = receipts.provider_message_id,
        status_code = receipts.status_code,
        error_class = receipts.error_class,
        finished_at = clock.at
    from receipts
    inner join recorded on recorded.send_key = receipts.send_key
    cross join clock
    where attempts.attempt_id = receipts.attempt_id
),

-- The tracked voucher event: which code was put in front of whom (B8).
shown_vouchers as (
    insert into campaign.voucher_events (send_key, campaign, customer_id, code, occurred_at)
    select send_key, campaign, customer_id, voucher_code, accepted_at
    from recorded
    where state = 'accepted' and voucher_code is not null
    on conflict (send_key) do nothing
)

select send_key, state, reason, channel, campaign, address_hmac
from recorded
