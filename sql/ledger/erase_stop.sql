/*
Stop what is to come for somebody who asked to be forgotten: planned messages, open episodes, places in audiences.

What is in flight stays its worker's; the closed episode keeps it from ever being claimed again.

owner: engineering
grain: one row
params:
  ids: text[] - every id of the person
  at: timestamptz - decision clock
returns:
  send_keys: text[] - messages that were cancelled
  counts: jsonb - rows per table
*/
with cancelled as (
    update campaign.sends
    set state = 'cancelled', reason = 'erased', settled_at = cast(:at as timestamptz)
    where customer_id = any(cast(:ids as text[])) and state in ('planned', 'retry_wait')
    returning send_key
),

closed as (
    update campaign.enrolments
    set closed_at = cast(:at as timestamptz), close_reason = 'erased'
    where
        customer_id = any(cast(:ids as text[]))
        and (closed_at is null or close_reason = 'left_segment')  -- that end can be undone by a later run
    returning enrolment_id
),

leaving as (
    update campaign.audience_members
    set desired = false, reason = 'erased', desired_at = cast(:at as timestamptz), contact_sha256 = null
    where customer_id = any(cast(:ids as text[])) and (desired or reason is distinct from 'erased')
    returning customer_id
)

select
    array(select send_key from cancelled) as send_keys,
    jsonb_build_object(
        'messages cancelled', (select count(*) from cancelled),
        'episodes closed', (select count(*) from closed),
        'places in audiences given up', (select count(*) from leaving)
    ) as counts
