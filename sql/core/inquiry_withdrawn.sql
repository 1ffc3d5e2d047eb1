/*
An inquiry whose newer version names nobody, or another channel, allows nothing any more; what it allowed before
is kept aside (C23).

owner: engineering
grain: moves inquiry rows
params:
  entity: text - checkouts or conversations
*/
with gone as (
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
    returning consents.*
)

insert into core.replaced_consents
select
    clock_timestamp() as replaced_at,
    gone.*
from gone
