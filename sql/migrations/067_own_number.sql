-- A window that somebody has opened by writing to one business number says nothing of messages that leave from another.

-- What conversations call the number that messages leave from; null: not known, and then each of them counts.
alter table campaign.whatsapp_source
    add column webhook_accounts text[],           -- those made of webhooks: its id at Meta
    add column file_accounts text[];              -- those that files or tables tell of

-- Whether WhatsApp takes words of our own for a message that leaves between two moments: each message of the person
-- to our number opens their service window for 24 hours, outside it only approved templates leave (C15).
create or replace function campaign.is_in_service_window(
    ids text[], leaves_at timestamptz, leaves_until timestamptz
)
returns boolean
language sql stable
as $$
    select exists (
        select from core.conversations
        inner join facts.messages on messages.conversation_id = conversations.conversation_id
        left join campaign.whatsapp_source as source on true
        where conversations.customer_id = any(ids)
            and lower(conversations.channel) = 'whatsapp'  -- a chat on the website opens no window there
            and coalesce(
                conversations.account
                = any(case when conversations.is_derived then source.webhook_accounts else source.file_accounts end),
                true
            )
            and messages.is_customer_message
            and messages.sent_at <= leaves_at
            and messages.sent_at > leaves_until - interval '24 hours'
    )
$$;

-- Whether WhatsApp charges for a message that leaves between two moments: not in a free entry window of the person at
-- our number (A2), and not for a category that is free while a service window is open there.
create or replace function campaign.is_charged(
    ids text[], of_category text, leaves_at timestamptz, leaves_until timestamptz
)
returns boolean
language sql stable
as $$
    select not exists (
        select from core.conversations
        inner join core.leads on leads.conversation_id = conversations.conversation_id
        left join campaign.whatsapp_source as source on true
        where conversations.customer_id = any(ids)
            and coalesce(
                conversations.account
                = any(case when conversations.is_derived then source.webhook_accounts else source.file_accounts end),
                true
            )
            and leads.free_opens_at <= leaves_at
            and leads.free_ends_at > leaves_until
    )
    and not (
        exists (
            select from campaign.whatsapp_free as free
            where free.category = of_category and free.until > leaves_until
        )
        and campaign.is_in_service_window(ids, leaves_at, leaves_until)
    )
$$;
