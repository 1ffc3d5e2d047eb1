/*
Count the leads each retarget was sent to by how far they had come before the next one left (R18).

owner: engineering
grain: one row per campaign, order and milestone
*/
insert into evaluation.retargeted_leads (campaign, retarget, milestone, leads)
select campaign, retarget, milestone, count(*)
from measured_retargets
group by campaign, retarget, milestone
