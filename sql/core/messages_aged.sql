/*
Lines of messages whose text was deleted after its period: the same text again is taken out of the line, so that it is
the duplicate it is; another text under an equal stamp contradicts, and cannot win over what nobody can read any more.

owner: engineering
grain: updates the lines of messages whose text was deleted
params:
  inner_pad: bytea - key of the hashes
  outer_pad: bytea - key of the hashes
*/
with met as (
    select
        checked.line_no,
        messages.text_hmac = campaign.keyed_hash(
            cast(:inner_pad as bytea), cast(:outer_pad as bytea), checked.message_id || E'\n' || checked.text
        ) as is_same,
        (checked.kind is not distinct from 'sent') = (messages.kind is not distinct from 'sent') as is_equal_stamp
    from checked
    inner join core.messages on checked.message_id = messages.message_id
    where
        messages.text_hmac is not null
        and checked.text is not null
        and checked.verdict = 'accepted'
        and checked.head
)

update checked
set
    text = case when not met.is_same then checked.text end,
    verdict = case when met.is_same then checked.verdict else 'quarantined' end,
    reason = case when not met.is_same then 'conflicting_version' end
from met
where checked.line_no = met.line_no and (met.is_same or met.is_equal_stamp)
