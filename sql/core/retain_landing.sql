/*
Give up loads that were never merged within the period; one that holds campaigns waits for somebody to decide.

owner: engineering
grain: one row per load
params:
  before: timestamptz - what was landed before this moment goes
  at_most: int - loads of one batch
returns:
  load_id: bigint unique - the load
  entity: text - what it was of
*/
update raw.loads
set state = 'failed', reason = 'its lines were deleted: the retention period for landed lines is over'
where
    load_id in (
        select old.load_id
        from raw.loads as old
        where
            old.state <> 'merged'
            and old.landed_at < cast(:before as timestamptz)
            and not exists (select from campaign.holds where holds.load_id = old.load_id)
            and to_regclass(format('raw.%I', old.entity || '_' || old.load_id)) is not null
        order by old.load_id
        limit cast(:at_most as int)
        for update skip locked
    )
returning load_id, entity
