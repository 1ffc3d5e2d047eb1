-- The inbox in the app: messages wait here until the app fetches them through the receiver.

create table campaign.inbox_messages (
    message_id uuid primary key default gen_random_uuid(),
    send_key text not null unique,                -- a repeat of the same send is the same message
    attempt_id uuid not null,
    customer_id text not null,                    -- as it was claimed; people who merged read each other's
    campaign text not null,
    title text not null,
    text text not null,
    link text,
    created_at timestamptz not null,
    read_at timestamptz,
    expires_at timestamptz not null check (expires_at > created_at)
);
create index on campaign.inbox_messages (customer_id, created_at desc);
create index on campaign.inbox_messages (expires_at);
