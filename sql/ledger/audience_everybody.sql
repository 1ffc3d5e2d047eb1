/*
Everybody who may come into or leave a campaign's audiences, under the id they have today, with every id they ever had.

Who is in none and was enrolled longer ago than the longest stay is left out, since they could only leave.

owner: engineering
params:
  campaign: text - the campaign
  as_of: timestamptz - decision clock
  max_days: int - longest stay in an audience
  members_only: boolean - only people who are wanted in an audience already: nobody new is looked for
*/
create temporary table people on commit drop as
with asked as (
    select customer_id
    from campaign.enrolments
    where
        not cast(:members_only as boolean)
        and campaign = cast(:campaign as text)
        and closed_at is null
        and arm = 'treated'
        -- a bound for the index only, since days with a clock change are longer
        and enrolled_at > cast(:as_of as timestamptz) - make_interval(days => cast(:max_days as int) + 1)
    union
    select customer_id
    from campaign.audience_members
    where campaign = cast(:campaign as text) and desired
),

-- Few people have more than one id, so those are gathered once instead of asked for one by one.
names as materialized (
    select customer_id, array_agg(alias_id order by alias_id) as ids
    from core.aliases
    group by customer_id
)

select distinct on (today.person_id) today.person_id, coalesce(names.ids, '{}') || today.person_id as ids
from (
    select coalesce(aliases.customer_id, asked.customer_id) as person_id
    from asked
    left join core.aliases on asked.customer_id = aliases.alias_id
) as today
left join names on today.person_id = names.customer_id
order by today.person_id
