/*
Open the receipt of an erasure.

owner: engineering
grain: one row
params:
  customer_hashes: text[] - keyed hash of every id of the person
  person: jsonb - what the rest is found by, until the erasure is complete
returns:
  receipt_id: uuid - number of the receipt
*/
insert into campaign.erasures (customer_hashes, person, pseudonym)
values (cast(:customer_hashes as text[]), cast(:person as jsonb), 'erased:' || gen_random_uuid())
returning receipt_id
