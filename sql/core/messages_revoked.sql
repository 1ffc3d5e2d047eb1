/*
What somebody has taken back is kept without its words, whether the revocation came before the message or comes with it.

owner: engineering
grain: updates the lines of messages that were taken back
*/
update checked
set text = null
from (
    select about_id from checked where kind = 'revoke' and about_id is not null
    union
    select messages.about_id
    from checked
    inner join core.messages on checked.message_id = messages.about_id
    where messages.kind = 'revoke'
    -- the words that an edit brought go with the message that it edited
    union
    select messages.about_id
    from checked
    inner join core.messages on checked.about_id = messages.about_id
    where checked.kind = 'edit' and messages.kind = 'revoke'
) as revoked
where
    checked.text is not null
    and (checked.message_id = revoked.about_id or (checked.kind = 'edit' and checked.about_id = revoked.about_id))
