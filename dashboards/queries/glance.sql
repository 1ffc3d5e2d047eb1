/*
Every campaign with enrolled people at a glance: people, messages, and who reached the goal within a window.

owner: evaluation
grain: one row per campaign
params:
  hours: int = 24 - attribution window in hours
returns:
  campaign: text unique - the campaign's name
  enrolled: numeric - people enrolled, each counted once
  reached: bigint - people with at least one accepted message
  messages: numeric - messages the providers accepted
  converted: numeric - of the people reached, those with a goal credited within the window after a message
*/
with enrolled as (
    select campaign, sum(people) as people
    from evaluation.people
    group by campaign
),

messages as (
    select campaign, sum(sends) as sends
    from evaluation.attributed_cells
    group by campaign
),

converted as (
    select campaign, sum(people) as people
    from evaluation.converted_people
    where grain = 'campaign'
        and hours < :hours
    group by campaign
)

select
    enrolled.campaign,
    enrolled.people as enrolled,
    coalesce(reached.people, 0) as reached,
    coalesce(messages.sends, 0) as messages,
    coalesce(converted.people, 0) as converted
from enrolled
left join evaluation.reached_people as reached
    on reached.campaign = enrolled.campaign and reached.grain = 'campaign'
left join messages on messages.campaign = enrolled.campaign
left join converted on converted.campaign = enrolled.campaign
order by enrolled.campaign
