/*
How each of the people could be reached: consent in force, address and suppression per channel, asked with the same
function as the claim asks.

owner: engineering
params:
  as_of: timestamptz - decision clock
  purpose: text - purpose the consent must name
  channels: text[] - channels of the campaign
  inner_pad: bytea - key of address hashes
  outer_pad: bytea - key of address hashes
*/
create temporary table ways on commit drop as
select
    people.person_id, people.has_zone, reach.channel, reach.bases, reach.address is not null as has_address,
    reach.is_suppressed
from people
cross join lateral campaign.reach(
    people.person_id, people.ids, cast(:as_of as timestamptz), cast(:purpose as text), cast(:inner_pad as bytea),
    cast(:outer_pad as bytea)
) as reach
where reach.channel = any(cast(:channels as text[]))
