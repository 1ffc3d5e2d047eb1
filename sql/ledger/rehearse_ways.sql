/*
Where a customer is reached on each channel, consent apart: they are on the list of who tries messages out.

owner: engineering
grain: one row per channel with an address that is not suppressed
params:
  customer_id: text - who, by any id they ever had
  as_of: timestamptz - decision clock
  purpose: text - of the campaign
  inner_pad: bytea - key of address hashes
  outer_pad: bytea - key of address hashes
returns:
  channel: text unique - the channel
  address: text - the address, number, device or id
  platform: text nullable - a device's: apns, fcm or webpush
*/
select ways.channel, ways.address, ways.platform
from campaign.person(cast(:customer_id as text)) as person
inner join core.customers on customers.customer_id = person.customer_id
cross join lateral campaign.reach(
    person.customer_id, person.ids, cast(:as_of as timestamptz), cast(:purpose as text), cast(:inner_pad as bytea),
    cast(:outer_pad as bytea)
) as ways
where ways.address is not null and not ways.is_suppressed
