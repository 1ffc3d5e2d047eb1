/*
Whether a platform has said today how large an audience is.

owner: engineering
grain: one row
params:
  platform: text - the ad platform
  audience: text - the audience
  as_of: timestamptz - decision clock
returns:
  is_measured: boolean - it has
*/
select exists (
    select from campaign.audience_sizes
    where
        platform = cast(:platform as text)
        and audience = cast(:audience as text)
        and measured_on = cast(cast(:as_of as timestamptz) at time zone 'UTC' as date)
) as is_measured
