/*
Lay out every retarget with what followed it: the first response, the qualification, how far the lead had come (A7).

A retarget is one order of a campaign's steps for one lead, sent at the first acceptance the ledger has of it. What the
lead does strictly after it and up to the next retarget of any campaign is credited to it; at the very instant of the
next one it is still this one's. Only the first qualification of a lead counts, and so for one retarget at most.

owner: engineering
grain: one row per campaign, lead and order
params:
  as_of: timestamptz - the moment that is measured
*/
create temporary table measured_retargets on commit drop as
with sent as (
    select
        send.campaign,
        episode.conversation_id,
        cast(split_part(send.step, '.', 1) as integer) as retarget,
        min(send.accepted_at) as sent_at
    from campaign.sends as send
    inner join measured_campaigns as rule on rule.campaign = send.campaign
    inner join campaign.measured_episodes as episode on episode.enrolment_id = send.enrolment_id
    where rule.is_retargeting
        and send.state = 'accepted'
        and send.accepted_at <= cast(:as_of as timestamptz)
    group by send.campaign, episode.conversation_id, cast(split_part(send.step, '.', 1) as integer)
),

retargets as (
    select
        campaign,
        conversation_id,
        retarget,
        sent_at,
        coalesce(
            lead(sent_at) over (partition by conversation_id order by sent_at, campaign, retarget),
            cast(:as_of as timestamptz)
        ) as last_until
    from sent
)

select
    retargets.campaign,
    retargets.conversation_id,
    retargets.retarget,
    retargets.sent_at,
    (
        select min(silence.said_at)
        from campaign.measured_silences as silence
        where silence.conversation_id = retargets.conversation_id
            and silence.said_at > retargets.sent_at
            and silence.said_at <= retargets.last_until
    ) as responded_at,
    case
        when measured.qualified_at > retargets.sent_at and measured.qualified_at <= retargets.last_until
            then measured.qualified_at
    end as qualified_at,
    case
        when measured.qualified_at <= retargets.sent_at then 'qualified_before'
        when measured.qualified_at <= retargets.last_until then 'qualified'
        when measured.deep_at <= retargets.last_until then 'deep_conversation'
        else 'lead'
    end as milestone,
    measured.language,
    measured.country
from retargets
inner join measured_leads as measured
    on measured.campaign = retargets.campaign and measured.conversation_id = retargets.conversation_id
