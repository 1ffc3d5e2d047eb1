/*
Remember guests by the email that makes them one.

owner: engineering
grain: one row per guest of the temporary table came_as_guest
*/
insert into core.guests (guest_id, email_canonical)
select distinct
    guest_id,
    email_canonical
from came_as_guest
on conflict (guest_id) do nothing
