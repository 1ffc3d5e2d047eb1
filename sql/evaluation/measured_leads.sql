/*
Lay out every lead of the retargeting campaigns with the moments at which it became deep and qualified (R1).

A lead is a conversation, not a person (A5): somebody who clicked on two ads is two leads. In the system of a campaign
are the conversations that one of its ads began (without named ads: any ad that has had a bot), and whichever the
campaign has enrolled, held out or not. What was opened before the ledger's memory begins may have been retargeted and
deleted since, and would seem to have come far on its own: such a lead is in the figures as long as its enrolment is.

owner: engineering
grain: one row per campaign and conversation, with the person's language and country at the first enrolment, or today
params:
  as_of: timestamptz - the moment that is measured
*/
create temporary table measured_leads on commit drop as
with enrolled as (
    select distinct on (enrolment.campaign, episode.conversation_id)
        enrolment.campaign,
        episode.conversation_id,
        coalesce(enrolment.language, customer.language, '') as language,
        coalesce(enrolment.country, customer.country, '') as country
    from campaign.enrolments as enrolment
    inner join measured_campaigns as rule on rule.campaign = enrolment.campaign
    inner join campaign.measured_episodes as episode on episode.enrolment_id = enrolment.enrolment_id
    left join core.aliases as alias on alias.alias_id = enrolment.customer_id
    left join campaign.measured_customers as customer
        on customer.customer_id = coalesce(alias.customer_id, enrolment.customer_id)
    where rule.is_retargeting
        and enrolment.enrolled_at <= cast(:as_of as timestamptz)
    order by enrolment.campaign, episode.conversation_id, enrolment.enrolled_at, enrolment.enrolment_id
),

in_system as (
    select rule.campaign, conversation.conversation_id
    from measured_campaigns as rule
    cross join campaign.database as place
    inner join campaign.measured_conversations as conversation
        on case
            when cardinality(rule.ads) > 0 then conversation.ad_id = any(rule.ads)
            else conversation.ad_id in (
                select ads.ad_id
                from core.ads
                where ads.bot_id is not null and ads.updated_at <= cast(:as_of as timestamptz)
            )
        end
    where rule.is_retargeting
        and conversation.opened_at <= cast(:as_of as timestamptz)
        and conversation.opened_at >= coalesce(place.remembers_since, '-infinity')
    union
    select campaign, conversation_id
    from enrolled
)

select
    in_system.campaign,
    in_system.conversation_id,
    case when conversation.deep_at <= cast(:as_of as timestamptz) then conversation.deep_at end as deep_at,
    case when conversation.qualified_at <= cast(:as_of as timestamptz) then conversation.qualified_at end
        as qualified_at,
    coalesce(enrolled.language, today.language, '') as language,
    coalesce(enrolled.country, today.country, '') as country
from in_system
left join enrolled using (campaign, conversation_id)
left join lateral (
    select customer.language, customer.country
    from core.conversations as theirs
    inner join core.customers as customer on customer.customer_id = theirs.customer_id
    where theirs.conversation_id = in_system.conversation_id
        and enrolled.conversation_id is null
    union all
    select erased.language, erased.country
    from campaign.erased_conversations as erased
    where erased.conversation_id = in_system.conversation_id
        and enrolled.conversation_id is null
    offset 0
) as today on true
left join lateral (
    select reached.deep_at, reached.qualified_at
    from campaign.measured_conversations as reached
    where reached.conversation_id = in_system.conversation_id
    offset 0  -- looked up lead by lead, whatever other conversations there are
) as conversation on true
