/*
Lay out every accepted send with the moment the next one takes over, over all campaigns and aliases (A17).

owner: engineering
grain: one row per accepted send
params:
  as_of: timestamptz - the moment that is measured
  max_window_hours: int - length of the pre-period
*/
create temporary table measured_sends on commit drop as
with accepted as (
    select
        send.send_key,
        send.enrolment_id,
        send.campaign,
        send.step,
        send.channel,
        send.variant,
        send.accepted_at,
        coalesce(alias.customer_id, send.customer_id) as person_id
    from campaign.sends as send
    left join core.aliases as alias on alias.alias_id = send.customer_id
    where send.state = 'accepted'
        and send.accepted_at <= cast(:as_of as timestamptz)
)

select
    accepted.send_key,
    accepted.campaign,
    accepted.step,
    accepted.channel,
    accepted.variant,
    accepted.person_id,
    accepted.accepted_at,
    -- A purchase at this very instant is not after the next send, so it is still this one's.
    coalesce(
        lead(accepted.accepted_at) over (
            partition by accepted.person_id order by accepted.accepted_at, accepted.send_key
        ),
        'infinity'
    ) as last_until,
    cast(accepted.accepted_at at time zone place.business_zone as date) as sent_on,
    coalesce(enrolment.language, customer.language, '') as language,
    coalesce(enrolment.country, customer.country, '') as country,
    coalesce(rule.goal_event, 'purchase') as goal_event,
    coalesce(rule.goal_where, '{}') as goal_where,
    before.covariate as pre_revenue
from accepted
inner join campaign.enrolments as enrolment on enrolment.enrolment_id = accepted.enrolment_id
cross join campaign.database as place
left join campaign.measured_customers as customer on customer.customer_id = accepted.person_id
left join measured_campaigns as rule on rule.campaign = accepted.campaign
cross join lateral (
    select coalesce(sum(purchase.amount), 0) as covariate
    from (
        select accepted.person_id as customer_id
        union all
        select other.alias_id from core.aliases as other where other.customer_id = accepted.person_id
    ) as known_as
    inner join campaign.measured_purchases as purchase on purchase.customer_id = known_as.customer_id
    where purchase.purchased_at > enrolment.enrolled_at - make_interval(hours => :max_window_hours)
        and purchase.purchased_at <= enrolment.enrolled_at
        and purchase.status = 'paid'
        and purchase.cancelled_by is null
        and (rule.currency is null or purchase.currency = rule.currency)
) as before
