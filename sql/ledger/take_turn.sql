/*
Take a turn at a provider that limits how fast it may be called: turns of all processes follow one another, each as
long as its messages cost. None is taken when the wait would be too long.

owner: engineering
grain: one row, or none when the wait would be too long
params:
  provider: text - whose limit it is
  seconds: double precision - what this call costs at the provider's rate
  longest_wait: double precision - give up when it takes longer than so many seconds
returns:
  wait_seconds: double precision - how long to wait before the call
*/
insert into campaign.rates as known (provider, free_at)
values (
    cast(:provider as text), clock_timestamp() + make_interval(secs => cast(:seconds as double precision))
)
on conflict (provider) do update
set free_at = greatest(known.free_at, clock_timestamp()) + make_interval(secs => cast(:seconds as double precision))
where known.free_at <= clock_timestamp() + make_interval(secs => cast(:longest_wait as double precision))
returning
    cast(
        greatest(0, extract(epoch from free_at - clock_timestamp()) - cast(:seconds as double precision))
        as double precision
    ) as wait_seconds
