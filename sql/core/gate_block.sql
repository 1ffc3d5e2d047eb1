/*
A consent line in quarantine counts as a withdrawal for its person and channel until it is replayed (A21).

owner: engineering
grain: one row per quarantined consent line that names a person
params:
  after: bigint - quarantine rows up to this number are known already
*/
insert into core.consent_blocks (quarantine_id, customer_id, channel)
select
    quarantine_id,
    raw.trimmed(fields ->> 'customer_id'),
    case
        when
            lower(raw.trimmed(fields ->> 'channel')) = any (
                '{email,push,webpush,inbox,sms,whatsapp,meta,tiktok,google}'
            )
            then lower(raw.trimmed(fields ->> 'channel'))
    end
from raw.quarantine
where
    entity = 'consents'
    and quarantine_id > cast(:after as bigint)
    and raw.trimmed(fields ->> 'customer_id') is not null
