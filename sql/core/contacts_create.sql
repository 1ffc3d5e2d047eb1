/*
Where derived contacts wait for their one update.

owner: engineering
grain: nothing
*/
create temporary table derived_contacts (
    customer_id text not null,
    email_canonical text,
    email_reason text,
    phone_e164 text,
    phone_reason text,
    time_zones text [] not null,
    legal_areas text [] not null,
    phone_country text
) on commit drop
