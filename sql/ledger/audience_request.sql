/*
Note a page that a platform took.

owner: engineering
grain: one row
params:
  platform: text - the ad platform
  audience: text - the audience
  campaign: text - the campaign
  verb: text - add, remove or replace
  people: int - how many
  as_of: timestamptz - decision clock
  external_id: text nullable - the platform's number, where it says later what became of it
  state: text - waiting, done or partial
  words: text - the platform's own
returns:
  request_id: bigint - the request
*/
insert into campaign.audience_requests (
    platform, audience, campaign, verb, people, told_at, external_id, state, words
)
values (
    cast(:platform as text), cast(:audience as text), cast(:campaign as text), cast(:verb as text),
    cast(:people as int), cast(:as_of as timestamptz), cast(:external_id as text), cast(:state as text),
    cast(:words as text)
)
returning request_id
