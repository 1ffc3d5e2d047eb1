/*
Loads of messages that nobody has read for refusals yet.

owner: engineering
grain: one row per load
returns:
  load_id: bigint unique - the load
*/
select loads.load_id
from raw.loads
where
    loads.entity = 'messages'
    and loads.state = 'merged'
    and not exists (
        select from campaign.judged_loads
        where judged_loads.load_id = loads.load_id
    )
