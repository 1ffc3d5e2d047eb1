/*
Note what a platform answered to a page that was noted before it was told.

owner: engineering
params:
  request_id: bigint - the request
  external_id: text nullable - the platform's number, where it says later what became of it
  state: text - waiting, done or partial
  words: text - the platform's own
*/
update campaign.audience_requests
set external_id = cast(:external_id as text), state = cast(:state as text), words = cast(:words as text)
where request_id = cast(:request_id as bigint)
