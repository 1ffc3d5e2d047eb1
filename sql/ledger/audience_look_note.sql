/*
Note how far a sync looked; one that looked for who is new has looked for who leaves as well.

owner: engineering
params:
  campaign: text - the campaign
  adds: boolean - who is new was looked for too
  rules_sha256: text - what decided
  run_id: bigint - its run
  as_of: timestamptz - its decision clock
  seen_at: timestamptz - what changed before this was seen
  full_at: timestamptz - when everybody was looked at
  definition: jsonb - the campaign's model, by which people leave while its file cannot be read
*/
insert into campaign.audience_looks (campaign, adds, rules_sha256, run_id, as_of, seen_at, full_at, definition)
select
    cast(:campaign as text), looks.adds, cast(:rules_sha256 as text), cast(:run_id as bigint),
    cast(:as_of as timestamptz), cast(:seen_at as timestamptz), cast(:full_at as timestamptz),
    cast(:definition as jsonb)
from (values (false), (true)) as looks (adds)
where looks.adds <= cast(:adds as boolean)
order by looks.adds
on conflict (campaign, adds) do update
set
    rules_sha256 = excluded.rules_sha256,
    run_id = excluded.run_id,
    as_of = excluded.as_of,
    seen_at = excluded.seen_at,
    full_at = excluded.full_at,
    definition = excluded.definition
