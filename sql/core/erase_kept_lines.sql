/*
Delete source lines kept aside that are about one person: by their ids or, where a line names no other customer, because
one of their addresses or both their names stand in it.

owner: engineering
grain: one row
params:
  ids: text[] - every id of the person
  addresses: text[] - their addresses in lower case
  conversations: text[] - their conversations
  visitors: text[] - browsers that only they used
  traces: text[] - regular expressions of their addresses, in lower case
  names: text[] - regular expressions of first and last name in lower case, with a line feed between them
returns:
  counts: jsonb - rows per table
*/
with lines as materialized (
    select
        quarantine_id,
        lower(raw) || E'\n' || lower(cast(fields as text)) as line,
        raw.trimmed(coalesce(fields ->> 'customer_id', fields ->> 'writer_id')) as customer_id,
        raw.trimmed(fields ->> 'conversation_id') as conversation_id,
        raw.trimmed(fields ->> 'visitor_id') as visitor_id
    from raw.quarantine
),

found as materialized (
    select lines.quarantine_id
    from lines
    where
        lines.customer_id = any(cast(:ids as text[]))
        or lower(lines.customer_id) = any(cast(:addresses as text[]))
        or lines.conversation_id = any(cast(:conversations as text[]))
        or (lines.customer_id is null and lines.visitor_id = any(cast(:visitors as text[])))
        or (
            not exists (select from core.customers where customers.customer_id = lines.customer_id)
            and (
                lines.line ~ any(cast(:traces as text[]))
                or exists (
                    select from unnest(cast(:names as text[])) as name
                    where
                        lines.line ~ split_part(name, E'\n', 1)
                        and lines.line ~ split_part(name, E'\n', 2)
                )
            )
        )
),

consent_blocks as (
    delete from core.consent_blocks
    where
        customer_id = any(cast(:ids as text[]))
        or quarantine_id in (select found.quarantine_id from found)
    returning quarantine_id
),

quarantine as (
    delete from raw.quarantine
    where quarantine_id in (select found.quarantine_id from found)
    returning quarantine_id
),

parked as (
    delete from raw.parked where customer_id = any(cast(:ids as text[])) returning parked_id
)

select
    jsonb_build_object(
        'core.consent_blocks', (select count(*) from consent_blocks),
        'raw.parked', (select count(*) from parked),
        'raw.quarantine', (select count(*) from quarantine)
    ) as counts
