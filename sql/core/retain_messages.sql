/*
Delete the texts of messages whose period is over and keep a keyed hash of each, so that the same line, when it comes
again, brings nothing back. What nobody has read for refusals yet stays.

owner: engineering
grain: one row
params:
  before: timestamptz - what was written before this moment goes
  at_most: int - rows of one batch
  inner_pad: bytea - key of the hashes
  outer_pad: bytea - key of the hashes
returns:
  deleted: bigint - how many
*/
with old as (
    select messages.message_id
    from core.messages
    where
        messages.sent_at < cast(:before as timestamptz)
        and messages.text is not null
        and not exists (
            select from raw.loads
            where
                loads.load_id = messages.load_id
                and not exists (select from campaign.judged_loads where judged_loads.load_id = loads.load_id)
        )
    limit cast(:at_most as int)
),

deleted as (
    update core.messages
    set
        text = null,
        text_hmac = campaign.keyed_hash(
            cast(:inner_pad as bytea), cast(:outer_pad as bytea), message_id || E'\n' || text
        )
    where message_id in (select old.message_id from old)
    returning message_id
)

select count(*) as deleted
from deleted
