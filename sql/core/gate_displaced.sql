/*
Stored versions that a contradicting line of the same stamp wins over: they go to quarantine, as if they had come last.

owner: engineering
grain: one row per stored version that falls
params:
  source: text - the source that delivers the winner
  entity: text - the entity
*/
with displaced as (
    select
        stored.load_id,
        jsonb_strip_nulls(
            to_jsonb(stored)
            - cast('{key,stamp,content,load_id,cancelled_by,guest_id,is_bare,contact_derived_at}' as text [])
            - cast('{email_canonical,email_reason,phone_e164,phone_reason,time_zones}' as text [])
            - cast('{legal_areas,phone_country}' as text [])
            - cast('{keywords,is_derived,known_at,came_as,text_hmac,endpoint_hmac}' as text [])
            -- found by us, and found again
            - case when to_jsonb(stored) ->> 'writer_id' is not null then 'conversation_id' else '' end
            -- as it came
            || case
                when to_jsonb(stored) ->> 'came_as' is null then '{}'
                else jsonb_build_object('customer_id', to_jsonb(stored) ->> 'came_as')
            end
        ) as fields
    from checked as came
    inner join stored on came.key = stored.key
    where
        came.verdict = 'accepted'
        and came.head
        and came.stamp is not distinct from stored.stamp
        and came.content <> stored.content
)

insert into raw.quarantine (load_id, source, entity, line_no, raw, fields, reason)
select
    load_id,
    cast(:source as text),
    cast(:entity as text),
    0,
    cast(fields as text),
    (select jsonb_object_agg(named.key, named.value) from jsonb_each_text(displaced.fields) as named),
    'conflicting_version'
from displaced
