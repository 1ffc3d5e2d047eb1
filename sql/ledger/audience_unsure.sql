/*
Note that the answer to a page of people who were to come in was lost: they may be in, and who is still wanted is told
again.

owner: engineering
params:
  request_id: bigint - the request
  as_of: timestamptz - decision clock
*/
with request as (
    update campaign.audience_requests
    set state = 'failed', asked_at = cast(:as_of as timestamptz), words = 'the answer was lost'
    where request_id = cast(:request_id as bigint)
)

update campaign.audience_members
set is_unsure = applied, request_id = null
where request_id = cast(:request_id as bigint)
