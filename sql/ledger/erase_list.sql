/*
Receipts of erasures, newest first; they name nobody.

owner: engineering
grain: one row per receipt
params:
  receipt_id: uuid nullable - only this one
  customer_hash: text nullable - only those of this person
returns:
  receipt_id: uuid unique - number of the receipt
  requested_at: timestamptz - when it began
  completed_at: timestamptz nullable - when nothing was left; null: incomplete
  counts: jsonb - rows per table
*/
select receipt_id, requested_at, completed_at, counts
from campaign.erasures
where
    (cast(:receipt_id as uuid) is null or receipt_id = cast(:receipt_id as uuid))
    and (cast(:customer_hash as text) is null or cast(:customer_hash as text) = any(customer_hashes))
order by requested_at desc, receipt_id
