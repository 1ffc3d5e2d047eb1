/*
Delete the addresses of devices that are no longer active, once the period since they were last registered is over, and
keep a keyed hash of each, so that the same line, when it comes again, brings nothing back (core/push_tokens_aged).

owner: engineering
grain: one row
params:
  before: timestamptz - what was registered before this moment goes
  at_most: int - rows of one batch
  inner_pad: bytea - key of the hashes
  outer_pad: bytea - key of the hashes
returns:
  deleted: bigint - how many
*/
with old as (
    select push_tokens.token_id
    from core.push_tokens
    where
        not push_tokens.active
        and push_tokens.endpoint is not null
        and push_tokens.updated_at < cast(:before as timestamptz)
    limit cast(:at_most as int)
),

deleted as (
    update core.push_tokens
    set
        endpoint = null,
        endpoint_hmac = campaign.keyed_hash(
            cast(:inner_pad as bytea), cast(:outer_pad as bytea), token_id || E'\n' || endpoint
        )
    where token_id in (select old.token_id from old)
    returning token_id
)

select count(*) as deleted
from deleted
