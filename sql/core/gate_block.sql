/*
A consent line in quarantine counts as a withdrawal for its person and channel until it is replayed (A21). One that
contradicts another holds also whom the one that stands names.

owner: engineering
grain: one row per person and channel of a quarantined consent line
params:
  after: bigint - quarantine rows up to this number are known already
*/
with lines as (
    select
        quarantine_id,
        reason,
        raw.trimmed(fields ->> 'consent_id') as consent_id,
        raw.trimmed(fields ->> 'customer_id') as customer_id,
        lower(raw.trimmed(fields ->> 'channel')) as channel
    from raw.quarantine
    where entity = 'consents' and quarantine_id > cast(:after as bigint)
)

insert into core.consent_blocks (quarantine_id, customer_id, channel)
select
    quarantine_id,
    customer_id,
    case
        when channel = any ('{email,push,webpush,inbox,sms,whatsapp,meta,tiktok,google}') then channel
    end
from lines
where customer_id is not null
union
select
    lines.quarantine_id,
    consents.customer_id,
    consents.channel
from lines
inner join core.consents on lines.consent_id = consents.consent_id
where lines.reason = 'conflicting_version'
