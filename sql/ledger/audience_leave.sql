/*
Mark who of the people no longer belongs into an audience, with the reason: bought, withdrew, stayed long, episode
over.

Reads the temporary tables people_ids, audience_people and eligible.

owner: engineering
grain: one row per reason
params:
  platform: text - the ad platform
  audience: text - the audience
  campaign: text - the campaign
  as_of: timestamptz - decision clock
  is_named: boolean - the campaign still names this audience; else everybody leaves
returns:
  reason: text - why
  people: bigint - how many
*/
with leaving as materialized (
    select
        members.customer_id,
        coalesce(
            case when not cast(:is_named as boolean) then 'audience_dropped' end,
            audience_people.ended_by,
            eligible.reason,
            case when audience_people.person_id is not null then 'no_consent' end,
            (
                select case enrolments.close_reason when 'goal' then 'stop_event' else enrolments.close_reason end
                from campaign.person(members.customer_id) as person
                inner join campaign.enrolments
                    on enrolments.campaign = members.campaign
                    and enrolments.customer_id = any(person.ids)
                order by enrolments.enrolled_at desc, enrolments.enrolment_id desc
                limit 1
            ),
            'episode_over'
        ) as reason
    from campaign.audience_members as members
    inner join people_ids on people_ids.customer_id = members.customer_id
    left join audience_people on audience_people.person_id = members.customer_id
    left join eligible
        on eligible.person_id = members.customer_id
        and eligible.channel = members.platform
    where
        members.platform = cast(:platform as text)
        and members.audience = cast(:audience as text)
        and members.campaign = cast(:campaign as text)
        and members.desired
        -- who is wanted and has no contact is not out, but refused (ledger/audience_refuse)
        and not (
            cast(:is_named as boolean)
            and (coalesce(eligible.viable, false) or coalesce(eligible.reason = 'no_address', false))
        )
),

marked as (
    update campaign.audience_members as members
    set
        desired = false,
        reason = leaving.reason,
        desired_at = cast(:as_of as timestamptz),
        contact_sha256 = null
    from leaving
    where
        members.platform = cast(:platform as text)
        and members.audience = cast(:audience as text)
        and members.campaign = cast(:campaign as text)
        and members.customer_id = leaving.customer_id
    returning members.reason
)

select reason, count(*) as people
from marked
group by reason
