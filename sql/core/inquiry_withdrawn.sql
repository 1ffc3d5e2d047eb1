/*
An inquiry whose newer version names nobody, or another channel, allows nothing any more.

owner: engineering
grain: deletes inquiry rows
params:
  entity: text - checkouts or conversations
*/
delete from core.consents
using checked
where
    checked.verdict = 'accepted'
    and consents.consent_id = 'inquiry:' || rtrim(cast(:entity as text), 's') || ':' || checked.key
    and case cast(:entity as text)
        when 'checkouts'
            then not exists (
                select from core.checkouts
                where checkouts.checkout_id = checked.key and checkouts.customer_id is not null
            )
        else not exists (
            select from core.conversations
            where conversations.conversation_id = checked.key and lower(conversations.channel) = 'whatsapp'
        )
    end
