/*
Lines of devices whose address was deleted after its period: the same address again is taken out of the line as long as
nobody has registered the device anew, and the device stays at its end; another address under an equal stamp
contradicts, and cannot win over what nobody can read any more.

owner: engineering
grain: updates the lines of devices whose address was deleted
params:
  inner_pad: bytea - key of the hashes
  outer_pad: bytea - key of the hashes
*/
with met as (
    select
        checked.line_no,
        push_tokens.endpoint_hmac = campaign.keyed_hash(
            cast(:inner_pad as bytea), cast(:outer_pad as bytea), checked.token_id || E'\n' || checked.endpoint
        ) as is_same,
        checked.updated_at = push_tokens.updated_at as is_equal_stamp
    from checked
    inner join core.push_tokens on checked.token_id = push_tokens.token_id
    where
        push_tokens.endpoint_hmac is not null
        and checked.verdict = 'accepted'
        and checked.head
)

update checked
set
    endpoint = case when not met.is_same then checked.endpoint end,
    active = checked.active and not met.is_same,
    verdict = case when met.is_same then checked.verdict else 'quarantined' end,
    reason = case when not met.is_same then 'conflicting_version' end
from met
where
    checked.line_no = met.line_no
    and ((met.is_same and (met.is_equal_stamp or not checked.active)) or (not met.is_same and met.is_equal_stamp))
