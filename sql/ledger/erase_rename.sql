/*
Give the rows that figures are counted by the random name: enrolments, decisions and the ledger, with episodes and keys
that tell nothing and stand in the same order as before.

owner: engineering
grain: one row
params:
  ids: text[] - every id of the person
  pseudonym: text - the random name
returns:
  counts: jsonb - rows per table
*/
with enrolments as (
    update campaign.enrolments
    set
        customer_id = cast(:pseudonym as text),
        episode = 'erased:' || enrolment_id,
        evidence = '{}',
        assigned_u = 0,                           -- both follow from the id
        variant_u = 0,
        closed_at = coalesce(closed_at, clock_timestamp()),
        close_reason = coalesce(close_reason, 'erased')
    where customer_id = any(cast(:ids as text[]))
    returning enrolment_id
),

decisions as (
    update campaign.decisions
    set customer_id = cast(:pseudonym as text), episode = 'erased:' || enrolment_id, gates = '[]'
    where customer_id = any(cast(:ids as text[]))
    returning decision_id
),

numbered as materialized (
    select send_key, row_number() over (order by send_key) as number
    from campaign.sends
    where customer_id = any(cast(:ids as text[]))
),

sends as (
    update campaign.sends
    set
        send_key = cast(:pseudonym as text) || ':' || lpad(
            cast(
                numbered.number
                + (
                    select count(*) from campaign.sends as renamed
                    where renamed.customer_id = cast(:pseudonym as text)
                ) as text
            ),
            8, '0'
        ),
        customer_id = cast(:pseudonym as text),
        episode = 'erased:' || sends.enrolment_id,
        payload_sha256 = null,
        voucher_code = null,
        provider_message_id = null
    from numbered
    where sends.send_key = numbered.send_key
    returning sends.send_key
)

select
    jsonb_build_object(
        'campaign.decisions', (select count(*) from decisions),
        'campaign.enrolments', (select count(*) from enrolments),
        'campaign.sends', (select count(*) from sends)
    ) as counts
