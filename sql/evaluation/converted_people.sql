/*
Count distinct people with a goal credited to a send, by the hours of the shortest way from a send to a goal.

owner: engineering
grain: one row per campaign, grain, value and hour
*/
insert into evaluation.converted_people (campaign, grain, value, hours, people)
with shortest as (
    select entry.campaign, grain.name as grain, grain.value, entry.person_id, min(entry.hours) as hours
    from attributed_entries as entry
    cross join lateral (
        values
        ('campaign', entry.campaign), ('step', entry.step), ('channel', entry.channel), ('variant', entry.variant)
    ) as grain(name, value)
    where entry.conversions = 1
    group by entry.campaign, grain.name, grain.value, entry.person_id
)

select campaign, grain, value, hours, count(*)
from shortest
group by campaign, grain, value, hours
