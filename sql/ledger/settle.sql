/*
Settle what is in doubt by what providers reported about the attempt; never by a resend.

Any sign of life proves acceptance, also of a message that was thought never to have come and waits for another try.
Only the provider's word that the message never came allows another try, after lease and call are over. Reports about
rows still in flight wait for their worker.

owner: engineering
grain: one row per settled send
params:
  at: timestamptz nullable - simulated moment; null: the database's clock
  call_timeout: interval - longest call
returns:
  send_key: text unique - the row
  state: text - accepted or retry_wait
*/
with

clock as materialized (
    select coalesce(cast(:at as timestamptz), clock_timestamp()) as at
),

reports as materialized (
    select
        events.provider, events.event_key, events.kind, attempts.send_key, attempts.attempt_id,
        sends.state, sends.lease_until, sends.attempt_no = attempts.attempt_no as is_last_attempt,
        coalesce(attempts.outcome, 'unanswered') = 'unanswered' as has_no_answer
    from campaign.provider_events as events
    inner join campaign.attempts on attempts.attempt_id = events.attempt_id
    inner join campaign.sends on sends.send_key = attempts.send_key
    where events.settled_at is null and sends.state <> 'in_flight'
    -- a row that is claimed or settled right now keeps its reports for the next time
    for no key update of sends skip locked
),

seen as (
    update campaign.provider_events as events
    set settled_at = clock_timestamp()
    from reports
    where
        events.provider = reports.provider
        and events.event_key = reports.event_key
        and (
            reports.kind <> 'not_accepted'
            or reports.state <> 'unknown'
            or reports.lease_until + cast(:call_timeout as interval) < clock_timestamp()
        )
),

verdicts as materialized (
    select
        send_key, bool_or(kind <> 'not_accepted') as is_accepted,
        (array_agg(attempt_id order by kind = 'not_accepted'))[1] as attempt_id
    from reports
    where
        -- whatever became of the row in between: a call that was answered already said all it has to say
        (kind <> 'not_accepted' and has_no_answer and state <> 'accepted')
        or (
            kind = 'not_accepted'
            and state = 'unknown'
            and is_last_attempt
            and lease_until + cast(:call_timeout as interval) < clock_timestamp()
        )
    group by send_key
),

settled as (
    update campaign.sends
    set
        state = case when verdicts.is_accepted then 'accepted' else 'retry_wait' end,
        reason = case when not verdicts.is_accepted then 'not_accepted' end,
        accepted_at = case when verdicts.is_accepted then pinned.decided_at end,
        settled_at = case when verdicts.is_accepted then clock.at end,
        not_before = case when verdicts.is_accepted then sends.not_before else clock.at end,
        channel = pinned.channel,
        provider = pinned.provider,
        payload_sha256 = pinned.payload_sha256,
        template_version = coalesce(pinned.template_version, sends.template_version)
    from verdicts
    inner join campaign.attempts as pinned on pinned.attempt_id = verdicts.attempt_id
    cross join clock
    where sends.send_key = verdicts.send_key
    returning
        sends.send_key, sends.state, sends.campaign, sends.customer_id, sends.voucher_code, sends.accepted_at,
        verdicts.attempt_id
),

attempted as (
    update campaign.attempts
    set outcome = 'accepted'
    from settled
    where attempts.attempt_id = settled.attempt_id and settled.state = 'accepted'
),

shown_vouchers as (
    insert into campaign.voucher_events (send_key, campaign, customer_id, code, occurred_at)
    select send_key, campaign, customer_id, voucher_code, accepted_at
    from settled
    where state = 'accepted' and voucher_code is not null
    on conflict (send_key) do nothing
)

select send_key, state from settled
