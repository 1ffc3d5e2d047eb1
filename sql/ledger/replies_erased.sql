/*
Keep nothing of replies from people who asked to be forgotten, known by their WhatsApp id or by the number, unless
somebody has the number again. What they meant is in effect by then: a stop has suppressed the number, by keyed hash.

owner: engineering
grain: one row per reply that is gone
params:
  replies: jsonb - reply_id, address and hash of the WhatsApp id of each; addresses stay in this statement
returns:
  reply_id: text unique - our name of the reply
*/
delete from campaign.replies
using jsonb_to_recordset(cast(:replies as jsonb)) as given (
    reply_id text, address text, writer_hash text
)
where
    replies.reply_id = given.reply_id
    and (
        exists (select from raw.erased where erased.customer_hash = given.writer_hash)
        or (
            replies.customer_id is null
            and exists (select from raw.erased where erased.customer_hash = replies.address_hmac)
            and not exists (select from core.customers where customers.phone_e164 = given.address)
        )
    )
returning replies.reply_id
