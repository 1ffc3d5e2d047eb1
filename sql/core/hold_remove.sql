/*
Let go of the campaigns that a load held, and of those held because its source could not be read or was silent before.

owner: engineering
params:
  load_id: bigint - the load that passed, or was released
*/
delete from campaign.holds
using raw.loads as held, raw.loads as passed
where
    holds.load_id = held.load_id
    and passed.load_id = cast(:load_id as bigint)
    and (held.load_id = passed.load_id or (held.source = passed.source and held.state in ('failed', 'merged')))
