/*
Cancel what was planned for closed episodes; what is in flight or in doubt is settled by the ledger.

owner: engineering
grain: one row
params:
  campaign: text - the campaign
  as_of: timestamptz - decision clock
returns:
  cancelled: bigint - how many messages will not leave
*/
with cancelled as (
    update campaign.sends
    set
        state = 'cancelled',
        reason = case enrolments.close_reason when 'goal' then 'stop_event' else enrolments.close_reason end,
        settled_at = cast(:as_of as timestamptz)
    from campaign.enrolments
    where
        sends.campaign = cast(:campaign as text)
        and sends.state in ('planned', 'retry_wait')
        and enrolments.enrolment_id = sends.enrolment_id
        and enrolments.closed_at is not null
    returning sends.send_key
)

select count(*) as cancelled
from cancelled
