/*
Leads that each retarget was sent to, by the milestone they were at when the next one left.

owner: evaluation
grain: one row per order and milestone
params:
  campaign: text - the campaign's name
returns:
  retarget: int - 1, 2 or 3
  milestone: text - lead, deep_conversation, qualified, or qualified_before: before this retarget, known only later
  leads: bigint - leads
*/
select retarget, milestone, leads
from evaluation.retargeted_leads
where campaign = :campaign
order by retarget, milestone
