/*
Messages of people in conversations that came with these loads; also those taken live, whose writers may not have been
known then.

owner: engineering
grain: one row per message
params:
  load_ids: bigint[] - the loads
returns:
  message_id: text unique - the message
  channel: text - where it was written
  customer_id: text - who wrote
  writer_id: text nullable - under which id of WhatsApp
  text: text - what
  sent_at: timestamptz - when
*/
select
    messages.message_id, conversations.channel, conversations.customer_id, messages.writer_id, messages.text,
    messages.sent_at
from core.messages
inner join core.conversations on conversations.conversation_id = messages.conversation_id
where
    messages.direction = 'inbound'
    and messages.sender = 'customer'
    and messages.text is not null
    and conversations.channel in ('sms', 'whatsapp')
    and messages.load_id = any(cast(:load_ids as bigint[]))
