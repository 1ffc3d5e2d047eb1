/*
End leases: a row whose worker did not answer in time is in doubt, since its bytes may have left. The database's clock.

owner: engineering
grain: one row per ended lease
returns:
  send_key: text unique - the row
*/
with

ended as (
    update campaign.sends
    set
        state = 'unknown',
        reason = 'lease_ended',
        claim_token = null
    where
        send_key in (
            select silent.send_key
            from campaign.sends as silent
            where silent.state = 'in_flight' and silent.lease_until < clock_timestamp()
            -- a row whose worker writes down its answer right now, or hangs doing so, holds nobody up
            for no key update skip locked
        )
    returning send_key, attempt_no
),

attempted as (
    update campaign.attempts
    set
        outcome = 'unanswered',
        finished_at = clock_timestamp()
    from ended
    where
        attempts.send_key = ended.send_key
        and attempts.attempt_no = ended.attempt_no
        and attempts.outcome is null
)

select send_key from ended
