/*
Put the table of legal windows, and how long implied consent counts, in place of the one before.

owner: engineering
grain: one row
params:
  windows: jsonb - area, channel, purpose, open_minutes
  implied: jsonb - area, purpose, basis, months
  sha256: text - hash of the file they come from
returns:
  sha256: text - the same
*/
with

given as materialized (
    select window_row.*
    from jsonb_to_recordset(cast(:windows as jsonb)) as window_row (
        area text, channel text, purpose text, open_minutes int4multirange
    )
),

given_implied as materialized (
    select implied_row.*
    from jsonb_to_recordset(cast(:implied as jsonb)) as implied_row (
        area text, purpose text, basis text, months integer
    )
),

gone as (
    delete from campaign.legal_windows as known
    where not exists (
        select from given
        where given.area = known.area and given.channel = known.channel and given.purpose = known.purpose
    )
),

stored as (
    insert into campaign.legal_windows (area, channel, purpose, open_minutes)
    select area, channel, purpose, open_minutes
    from given
    on conflict (area, channel, purpose) do update
    set open_minutes = excluded.open_minutes
),

gone_implied as (
    delete from campaign.implied_consents as known
    where not exists (
        select from given_implied as given
        where given.area = known.area and given.purpose = known.purpose and given.basis = known.basis
    )
),

stored_implied as (
    insert into campaign.implied_consents (area, purpose, basis, months)
    select area, purpose, basis, months
    from given_implied
    on conflict (area, purpose, basis) do update
    set months = excluded.months
)

insert into campaign.legal_source (sha256)
values (cast(:sha256 as text))
on conflict (one) do update
set
    sha256 = excluded.sha256,
    loaded_at = clock_timestamp()
returning sha256
