/*
How long the turns that were taken at a provider still last, over all processes.

owner: engineering
grain: one row
params:
  provider: text - whose limit it is
returns:
  wait_seconds: double precision - 0 when it may be called at once
*/
select
    cast(coalesce(greatest(0, max(extract(epoch from free_at - clock_timestamp()))), 0) as double precision)
        as wait_seconds
from campaign.rates
where provider = cast(:provider as text)
