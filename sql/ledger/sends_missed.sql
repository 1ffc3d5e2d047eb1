/*
Messages that certainly nobody got, by reason: refused for good or waited too long, never accepted, never in doubt, and
not because the person said no or the address is dead. The occasion must still be open, and the step must not go another
way by now: a campaign that came to use all viable channels has messages of its own for it.

owner: engineering
grain: one row per send
params:
  campaign: text nullable - one campaign only
  since: timestamptz - ended at or after this moment
  final_reasons: text[] - refusals that hold for the person or the address
returns:
  send_key: text unique - the row
  campaign: text - the campaign
  state: text - rejected or expired
  reason: text nullable - why it did not leave
*/
select sends.send_key, sends.campaign, sends.state, sends.reason
from campaign.sends
inner join campaign.enrolments on enrolments.enrolment_id = sends.enrolment_id
where
    sends.state in ('rejected', 'expired')
    and (cast(:campaign as text) is null or sends.campaign = cast(:campaign as text))
    and sends.settled_at >= cast(:since as timestamptz)
    and coalesce(sends.reason, '') <> all(cast(:final_reasons as text[]))
    and enrolments.closed_at is null
    and exists (
        select from campaign.decisions
        where
            decisions.enrolment_id = sends.enrolment_id
            and decisions.step = sends.step
            and decisions.superseded_at is null
    )
    and not exists (
        select from campaign.attempts
        where
            attempts.send_key = sends.send_key
            and coalesce(attempts.outcome, 'unanswered') in ('accepted', 'unanswered')
    )
order by sends.campaign, sends.send_key
