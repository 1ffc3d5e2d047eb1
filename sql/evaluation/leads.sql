/*
Count every lead once: how far it has come, the last retarget it was sent, the one its qualification is credited to.

Total leads in the system are the sum of all rows. Of them *not qualified* without the campaign are those that are not
`qualified` with `qualified_after` 0: nobody else is left for its retargets to qualify. Of those, qualified at the nth
are the ones with `qualified_after` n. What remains is not qualified yet (R19).

owner: engineering
grain: one row per campaign, milestone, last retarget, retarget credited, language and country
*/
insert into evaluation.leads (campaign, milestone, last_retarget, qualified_after, language, country, leads)
with retargeted as (
    select
        campaign,
        conversation_id,
        max(retarget) as last_retarget,
        max(retarget) filter (where qualified_at is not null) as qualified_after
    from measured_retargets
    group by campaign, conversation_id
)

select
    measured.campaign,
    case
        when measured.qualified_at is not null then 'qualified'
        when measured.deep_at is not null then 'deep_conversation'
        else 'lead'
    end as milestone,
    coalesce(retargeted.last_retarget, 0) as last_retarget,
    coalesce(retargeted.qualified_after, 0) as qualified_after,
    measured.language,
    measured.country,
    count(*) as leads
from measured_leads as measured
left join retargeted using (campaign, conversation_id)
group by 1, 2, 3, 4, 5, 6
