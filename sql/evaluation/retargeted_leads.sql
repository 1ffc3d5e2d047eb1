/*
Count the leads each retarget was sent to by how far they had come before the next one left (R18).

owner: engineering
grain: one row per campaign, order, milestone, language and country
*/
insert into evaluation.retargeted_leads (campaign, retarget, milestone, language, country, leads)
select campaign, retarget, milestone, language, country, count(*)
from measured_retargets
group by campaign, retarget, milestone, language, country
