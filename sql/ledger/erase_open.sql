/*
Erasures that are not complete, each locked for whoever goes on with it.

owner: engineering
grain: one row per erasure
params:
  receipt_id: uuid nullable - only this one
  customer_hash: text nullable - only those of this person
returns:
  receipt_id: uuid unique - number of the receipt
  person: jsonb - what the rest is found by
  pseudonym: text - the random name of what stays
  is_cleared: boolean - nothing but memberships of audiences is left
*/
select receipt_id, person, pseudonym, cleared_at is not null as is_cleared
from campaign.erasures
where
    completed_at is null
    and (cast(:receipt_id as uuid) is null or receipt_id = cast(:receipt_id as uuid))
    and (cast(:customer_hash as text) is null or cast(:customer_hash as text) = any(customer_hashes))
order by requested_at, receipt_id
for update
