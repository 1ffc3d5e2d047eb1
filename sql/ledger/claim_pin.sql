/*
Pin what each claimed row will say by its hash and open its attempt, in the transaction that claimed it.

A row without a hash could not be rendered: it ends as rejected(content), and no attempt is opened.

owner: engineering
grain: one row per attempt opened
params:
  pins: jsonb - send_key, payload_sha256 or null, template_version, address_hmac, decided_at
  batch_id: uuid - rows handed over together
returns:
  send_key: text unique - the row
  attempt_id: uuid - travels with the message
*/
with

pins as materialized (
    select pin.*
    from jsonb_to_recordset(cast(:pins as jsonb)) as pin (
        send_key text, payload_sha256 text, template_version text, address_hmac text, decided_at timestamptz
    )
),

pinned as (
    update campaign.sends
    set
        payload_sha256 = pins.payload_sha256,
        template_version = coalesce(pins.template_version, sends.template_version),
        state = case when pins.payload_sha256 is null then 'rejected' else sends.state end,
        reason = case when pins.payload_sha256 is null then 'content' end,
        settled_at = case when pins.payload_sha256 is null then pins.decided_at end,
        claim_token = case when pins.payload_sha256 is not null then sends.claim_token end
    from pins
    where sends.send_key = pins.send_key
    returning
        sends.send_key, sends.attempt_no, sends.channel, sends.provider, sends.payload_sha256,
        pins.address_hmac, pins.decided_at
)

insert into campaign.attempts (
    attempt_id, send_key, attempt_no, batch_id, channel, provider, payload_sha256, address_hmac, decided_at
)
select
    gen_random_uuid(), send_key, attempt_no, cast(:batch_id as uuid), channel, provider, payload_sha256,
    address_hmac, decided_at
from pinned
where payload_sha256 is not null
returning send_key, attempt_id
