/*
Conversations that no message opens any more, since an earlier one has come or they are another person's: with their
milestones and with what they allowed, which is kept aside (C23).

owner: engineering
grain: one row
returns:
  conversations: bigint - how many
*/
with gone as (
    delete from core.conversations
    using touched_people
    where
        conversations.customer_id = touched_people.customer_id
        and conversations.is_derived
        and not exists (
            select from threaded
            where threaded.message_id = conversations.conversation_id
                and threaded.conversation_id = conversations.conversation_id
        )
    returning conversations.conversation_id
),

milestones as (
    delete from core.milestones
    using gone
    where milestones.conversation_id = gone.conversation_id
),

inquiries as (
    delete from core.consents
    using gone
    where consents.consent_id = 'inquiry:conversation:' || gone.conversation_id
    returning consents.*
),

replaced as (
    insert into core.replaced_consents
    select
        clock_timestamp() as replaced_at,
        inquiries.*
    from inquiries
)

select count(*) as conversations
from gone
