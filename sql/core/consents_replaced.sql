/*
Stored consents that a load is about to overwrite are kept as they are, since messages may rest on them (C23).

owner: engineering
grain: one row per consent that falls
*/
insert into core.replaced_consents
select
    clock_timestamp() as replaced_at,
    consents.*
from checked
inner join core.consents on checked.consent_id = consents.consent_id
where checked.verdict = 'accepted' and checked.head
