/*
Mark lines as replayed by a load and lift what they blocked; lines that fail again are in quarantine anew.

owner: engineering
grain: updates one row per line
params:
  ids: bigint[] - the lines
  load_id: bigint - the load that replays them
*/
with lifted as (
    delete from core.consent_blocks
    where quarantine_id = any (cast(:ids as bigint []))
)

update raw.quarantine
set replayed_at = clock_timestamp(), replay_load_id = cast(:load_id as bigint)
where quarantine_id = any (cast(:ids as bigint []))
