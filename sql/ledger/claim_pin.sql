/*
Open an attempt for each claimed row, with the hash of what it will say, in the transaction that claimed it.

A row without a hash could not be rendered: it ends as rejected(content), and no attempt is opened.

owner: engineering
grain: one row per row that could not be rendered
params:
  pins: jsonb - send_key, payload_sha256 or null, and what else is noted about the attempt
returns:
  send_key: text unique - the row
*/
with

pins as materialized (
    select pin.*
    from jsonb_to_recordset(cast(:pins as jsonb)) as pin (
        send_key text, attempt_id uuid, batch_id uuid, payload_sha256 text, template_version text, address_hmac text,
        decided_at timestamptz, attempt_no int, channel text, provider text, consent_id text,
        consent_load_id bigint
    )
),

opened as (
    insert into campaign.attempts (
        attempt_id, send_key, attempt_no, batch_id, channel, provider, payload_sha256, template_version, address_hmac,
        decided_at, consent_id, consent_load_id
    )
    select
        attempt_id, send_key, attempt_no, batch_id, channel, provider, payload_sha256, template_version, address_hmac,
        decided_at, consent_id, consent_load_id
    from pins
    where payload_sha256 is not null
)

update campaign.sends
set
    state = 'rejected',
    reason = 'content',
    settled_at = pins.decided_at,
    claim_token = null
from pins
where sends.send_key = pins.send_key and pins.payload_sha256 is null
returning sends.send_key
