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
    where state = 'in_flight' and lease_until < clock_timestamp()
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
