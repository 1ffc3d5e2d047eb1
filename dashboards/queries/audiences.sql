/*
Size of the audiences that campaigns keep on ad platforms, what is on the way, and what the platform says of them.

owner: evaluation
grain: one row per campaign, platform and audience
params:
  campaign: text = null - one campaign's name; left out: all of them
returns:
  campaign: text - the campaign's name
  platform: text - the ad platform
  audience: text - the audience's name
  wanted: bigint - people who should be in it
  applied: bigint - people who are in it, as far as the platform was told
  in_flight: bigint - people of whom it was told and has not said yet what became of that
  to_add: bigint - people still to be added
  to_remove: bigint - people still to be removed, also those in it by a contact they no longer have
  leaving: bigint - people told to leave, of whom the platform has not said yet whether they are out
  refused: bigint - people it cannot take
  oldest_removal_at: timestamptz nullable - since when somebody should be out who is still in, or may be
  trouble: text nullable - why it cannot be told anything, in the platform's own words
  trouble_since: timestamptz nullable - since when
  measured_on: date nullable - the last day on which the platform said how large it is
  least: bigint nullable - people it found, at least
  most: bigint nullable - people it found, at most
  match_rate: double precision nullable - share of those it was given
  is_usable: boolean nullable - whether ads can be shown to it
  size_words: text - the platform's own words about that
  deletion_begun_at: timestamptz nullable - since when it is to be deleted there, since it lets nobody go any more
  deleted_at: timestamptz nullable - when the platform has done so
  enough: bigint nullable - people who must belong in it before it is made again
*/
select
    campaign, platform, audience, wanted, applied, in_flight, to_add, to_remove, leaving, refused, oldest_removal_at,
    trouble, trouble_since, measured_on, least, most, match_rate, is_usable, size_words, deletion_begun_at,
    deleted_at, enough
from evaluation.audiences
where campaign = coalesce(:campaign, campaign)
order by campaign, platform, audience
