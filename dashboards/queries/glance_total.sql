/*
All campaigns together: people, each counted once whatever number of campaigns they are in, and their messages.

owner: evaluation
grain: one row
params:
  hours: int = 24 - attribution window in hours
returns:
  enrolled: numeric - people enrolled in at least one campaign
  reached: numeric - of them, people with at least one accepted message
  messages: numeric - messages the providers accepted
  converted: numeric - of the people reached, those with a goal credited within the window after a message
*/
select
    coalesce(sum(people) filter (where what = 'enrolled'), 0) as enrolled,
    coalesce(sum(people) filter (where what = 'reached'), 0) as reached,
    coalesce((select sum(sends) from evaluation.attributed_cells), 0) as messages,
    coalesce(sum(people) filter (where what = 'converted' and hours < :hours), 0) as converted
from evaluation.all_people
