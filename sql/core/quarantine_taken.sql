/*
Lines to replay, with the other lines of the orders they are part of.

owner: engineering
grain: one row per line
params:
  ids: bigint[] nullable - these lines; null = all that the other filters leave
  source: text nullable - only of this source
  entity: text nullable - only of this entity
  reason: text nullable - only with this reason
returns:
  quarantine_id: bigint unique - number of the line in quarantine
  load_id: bigint - the load that brought it
  source: text - its source
  line_no: bigint - where it stood
  raw: text - the line
  fields: jsonb - its columns, as text
  reason: text - reason code
*/
with chosen as (
    select
        quarantine_id,
        load_id,
        raw.trimmed(fields ->> 'order_id') as order_id
    from raw.quarantine
    where
        replayed_at is null
        and (cast(:ids as bigint []) is null or quarantine_id = any (cast(:ids as bigint [])))
        and (cast(:source as text) is null or source = cast(:source as text))
        and (cast(:entity as text) is null or entity = cast(:entity as text))
        and (cast(:reason as text) is null or reason = cast(:reason as text))
)

select
    quarantine_id,
    load_id,
    source,
    line_no,
    raw,
    fields,
    reason
from raw.quarantine
where
    quarantine_id in (select chosen.quarantine_id from chosen)
    or (
        replayed_at is null
        and exists (
            select
            from chosen
            inner join raw.loads using (load_id)
            where
                chosen.load_id = quarantine.load_id
                and chosen.order_id = raw.trimmed(quarantine.fields ->> 'order_id')
                and loads.options ->> 'group' is not null
        )
    )
order by load_id, line_no, quarantine_id
for update
