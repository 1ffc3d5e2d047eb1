/*
Write derived contacts to their customers.

owner: engineering
grain: updates one row per customer in the temporary table derived_contacts
params:
  as_of: timestamptz - the load's logical time
*/
update core.customers
set
    email_canonical = derived.email_canonical,
    email_reason = derived.email_reason,
    phone_e164 = derived.phone_e164,
    phone_reason = derived.phone_reason,
    time_zones = derived.time_zones,
    legal_areas = derived.legal_areas,
    phone_country = derived.phone_country,
    contact_derived_at = cast(:as_of as timestamptz)
from derived_contacts as derived
where customers.customer_id = derived.customer_id
