/*
Count distinct people reached by at least one accepted send, at the named grains.

owner: engineering
grain: one row per campaign, grain and value
*/
insert into evaluation.reached_people (campaign, grain, value, people)
select send.campaign, grain.name, grain.value, count(distinct send.person_id)
from measured_sends as send
cross join lateral (
    values
    ('campaign', send.campaign), ('step', send.step), ('channel', send.channel), ('variant', send.variant)
) as grain(name, value)
group by send.campaign, grain.name, grain.value
