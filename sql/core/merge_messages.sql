/*
Store the messages of a load: every line here is new or wins over what is stored (core/gate_compare).

Those that name a writer instead of a conversation get theirs by core/threads_assign.

owner: engineering
grain: one row per message
params:
  load_id: bigint - the load
*/
insert into core.messages (
    message_id,
    conversation_id,
    direction,
    sender,
    sent_at,
    text,
    kind,
    bot_node,
    keywords,
    writer_id,
    wa_id,
    account,
    group_id,
    referral,
    ad_id,
    about_id,
    load_id
)
select
    message_id,
    conversation_id,
    direction,
    sender,
    sent_at,
    text,
    kind,
    bot_node,
    keywords,
    writer_id,
    wa_id,
    account,
    group_id,
    referral,
    ad_id,
    about_id,
    cast(:load_id as bigint)
from checked
where verdict = 'accepted' and head
order by message_id
on conflict (message_id) do update
set
    conversation_id = excluded.conversation_id,
    direction = excluded.direction,
    sender = excluded.sender,
    sent_at = excluded.sent_at,
    text = excluded.text,
    -- the same text as the one that was deleted is not in the line any more (core/messages_aged)
    text_hmac = case when excluded.text is null then messages.text_hmac end,
    kind = excluded.kind,
    bot_node = excluded.bot_node,
    keywords = excluded.keywords,
    writer_id = excluded.writer_id,
    wa_id = excluded.wa_id,
    account = excluded.account,
    group_id = excluded.group_id,
    referral = excluded.referral,
    ad_id = excluded.ad_id,
    about_id = excluded.about_id,
    load_id = excluded.load_id
