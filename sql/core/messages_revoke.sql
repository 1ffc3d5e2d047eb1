/*
Take the words out of stored messages that a load revokes, and out of their edits.

owner: engineering
grain: updates the messages that are taken back
*/
with revoked as (
    select about_id as message_id
    from checked
    where kind = 'revoke' and about_id is not null and verdict in ('accepted', 'duplicate')
),

taken_back as (
    select message_id from revoked
    union
    select edits.message_id
    from revoked
    inner join core.messages as edits on revoked.message_id = edits.about_id
    where edits.kind = 'edit'
)

update core.messages
set text = null
from taken_back
where messages.message_id = taken_back.message_id and messages.text is not null
