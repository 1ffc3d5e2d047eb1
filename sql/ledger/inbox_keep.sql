/*
Put messages into people's inboxes; one that is there already under the same send key stays as it is.

owner: engineering
grain: one row per message given
params:
  messages: jsonb - attempt_id, send_key, customer_id, campaign, title, text, link, at (when it was claimed) of each
  days: int - how long each stays readable
returns:
  attempt_id: uuid unique - echo
  message_id: uuid nullable - its id; null: another connection is putting it there right now
*/
with

given as materialized (
    select message.*
    from jsonb_to_recordset(cast(:messages as jsonb)) as message (
        attempt_id uuid, send_key text, customer_id text, campaign text, title text, text text, link text,
        at timestamptz
    )
),

kept as (
    insert into campaign.inbox_messages (
        send_key, attempt_id, customer_id, campaign, title, text, link, created_at, expires_at
    )
    select
        send_key, attempt_id, customer_id, campaign, title, text, link, at,
        at + make_interval(days => cast(:days as int))
    from given
    on conflict (send_key) do nothing
    returning send_key, message_id
)

select given.attempt_id, coalesce(kept.message_id, known.message_id) as message_id
from given
left join kept on kept.send_key = given.send_key
left join campaign.inbox_messages as known on known.send_key = given.send_key
