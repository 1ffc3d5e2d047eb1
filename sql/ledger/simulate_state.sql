/*
Where every episode and step of one campaign stands now.

owner: engineering
grain: one row per enrolment and step
params:
  campaign: text - the campaign
returns:
  episode: text - the occasion
  arm: text - treated or holdout
  close_reason: text nullable - why the episode is over; null while it is open
  step: text nullable - the step; null when nothing was decided
  state: text nullable - its state
  reason: text nullable - why
  channel: text nullable - how
  due_at: timestamptz nullable - when it is due
  not_before: timestamptz nullable - when it is asked again
  is_waiting: boolean - whether it may still leave
  billable: boolean nullable - whether WhatsApp charges for it
  currency: text nullable - ISO 4217 code; null: no price is known, or nothing is charged
  price: numeric nullable - what it costs
  is_example: boolean nullable - whether the price is made up
*/
select
    enrolments.episode, enrolments.arm,
    case when enrolments.closed_at is not null then enrolments.close_reason end as close_reason,
    decisions.step,
    coalesce(sends.state, decisions.state) as state,
    case when sends.state is null then decisions.reason else sends.reason end as reason,
    coalesce(sends.channel, decisions.channel) as channel,
    sends.due_at, sends.not_before,
    coalesce(sends.state in ('planned', 'retry_wait'), false) as is_waiting,
    sends.billable, price.currency, price.price, price.is_example
from campaign.enrolments
cross join campaign.database as place
left join campaign.decisions
    on decisions.enrolment_id = enrolments.enrolment_id
    and decisions.superseded_at is null
left join campaign.sends on sends.enrolment_id = enrolments.enrolment_id and sends.step = decisions.step
left join lateral campaign.whatsapp_price(
    sends.price_country, sends.price_category,
    cast(coalesce(sends.accepted_at, sends.claimed_at) at time zone place.business_zone as date)
) as price on sends.billable
where enrolments.campaign = cast(:campaign as text)
order by enrolments.enrolled_at, enrolments.enrolment_id, decisions.step
