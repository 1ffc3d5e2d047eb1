/*
Note what keeps a campaign from telling an audience anything, and since when.

owner: engineering
params:
  platform: text - the ad platform
  audience: text - the audience
  campaign: text - the campaign
  words: text - the platform's own
  as_of: timestamptz - decision clock
*/
insert into campaign.audience_troubles as known (platform, audience, campaign, words, since)
values (
    cast(:platform as text), cast(:audience as text), cast(:campaign as text), cast(:words as text),
    cast(:as_of as timestamptz)
)
on conflict (platform, audience, campaign) do update
set words = excluded.words
