/*
Sum up one measuring run per campaign, for the log and the artifact.

owner: engineering
grain: one row per campaign with somebody enrolled
returns:
  campaign: text unique - the campaign
  enrolled: bigint - people enrolled
  reached: bigint - people with at least one accepted send
  in_doubt: bigint - people whose only answer was lost
  to_come: bigint - people with a step still to come
  not_reached: bigint - people nothing could be sent to
  held_out: bigint - people of the holdout
*/
select
    campaign,
    sum(people) as enrolled,
    coalesce(sum(people) filter (where standing = 'reached'), 0) as reached,
    coalesce(sum(people) filter (where standing = 'in_doubt'), 0) as in_doubt,
    coalesce(sum(people) filter (where standing = 'to_come'), 0) as to_come,
    coalesce(sum(people) filter (where standing = 'not_reached'), 0) as not_reached,
    coalesce(sum(people) filter (where standing = 'holdout'), 0) as held_out
from evaluation.people
group by campaign
order by campaign
