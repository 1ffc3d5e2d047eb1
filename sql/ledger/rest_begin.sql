/*
Leave a provider alone, in every process: as long as it asked, or twice as long as the last time.

A rest that is under way already is not counted again: several calls may find out at once.

owner: engineering
grain: one row
params:
  provider: text - who
  reason: text - asked, busy or unreached
  asked_seconds: double precision nullable - for how long it asked to be left alone
  first_seconds: double precision - the first rest that nobody asked for
  longest_seconds: double precision - the longest of them
returns:
  rests_until: timestamptz - when it may be called again
*/
insert into campaign.rests as known (provider, rests_until, reason, failures)
values (
    cast(:provider as text),
    clock_timestamp() + make_interval(
        secs => coalesce(cast(:asked_seconds as double precision), cast(:first_seconds as double precision))
    ),
    cast(:reason as text),
    case when cast(:asked_seconds as double precision) is null then 1 else 0 end
)
on conflict (provider) do update
set
    rests_until = case
        when cast(:asked_seconds as double precision) is not null
            then greatest(
                known.rests_until,
                clock_timestamp() + make_interval(secs => cast(:asked_seconds as double precision))
            )
        when known.rests_until > clock_timestamp() then known.rests_until
        else clock_timestamp() + make_interval(
            secs => least(
                cast(:first_seconds as double precision) * power(2, least(known.failures, 20)),
                cast(:longest_seconds as double precision)
            )
        )
    end,
    reason = case
        when cast(:asked_seconds as double precision) is null and known.rests_until > clock_timestamp()
            then known.reason
        else excluded.reason
    end,
    failures = case
        when cast(:asked_seconds as double precision) is not null then 0
        when known.rests_until > clock_timestamp() then known.failures
        else known.failures + 1
    end
returning rests_until
