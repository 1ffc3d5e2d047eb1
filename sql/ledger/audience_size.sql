/*
Note what a platform says of an audience today.

owner: engineering
params:
  platform: text - the ad platform
  audience: text - the audience
  as_of: timestamptz - decision clock
  least: bigint nullable - people it found, at least
  most: bigint nullable - people it found, at most
  match_rate: double precision nullable - of those it was given
  is_usable: boolean nullable - whether ads can be shown to it
  words: text - the platform's own
*/
insert into campaign.audience_sizes (platform, audience, measured_on, least, most, match_rate, is_usable, words)
values (
    cast(:platform as text), cast(:audience as text), cast(cast(:as_of as timestamptz) at time zone 'UTC' as date),
    cast(:least as bigint), cast(:most as bigint), cast(:match_rate as double precision),
    cast(:is_usable as boolean), cast(:words as text)
)
on conflict (platform, audience, measured_on) do update
set
    least = excluded.least,
    most = excluded.most,
    match_rate = excluded.match_rate,
    is_usable = excluded.is_usable,
    words = excluded.words
