/*
Take back intents that may no longer leave: no viable channel, or waited too long, or the step is gone.

owner: engineering
grain: one row
params:
  as_of: timestamptz - decision clock
returns:
  withdrawn: bigint - intents taken back
*/
with withdrawn as (
    update campaign.sends
    set
        state = verdicts.state,
        reason = verdicts.reason,
        settled_at = cast(:as_of as timestamptz)
    from verdicts
    where
        sends.enrolment_id = verdicts.enrolment_id
        and sends.step = verdicts.step
        and verdicts.state in ('suppressed', 'expired', 'cancelled')
        and verdicts.send_state in ('planned', 'retry_wait', 'suppressed')
        and sends.state in ('planned', 'retry_wait', 'suppressed')
        and (sends.state, sends.reason) is distinct from (verdicts.state, verdicts.reason)
    returning sends.send_key
)

select count(*) as withdrawn
from withdrawn
